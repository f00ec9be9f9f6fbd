// What fields of a run are called, how their values read, and in which of them runs differ. Pure functions.

import { plain } from "./format.js";

const TITLES = { m: "M", lr: "learning rate", cutout_size: "cutout size", cutout_squares: "squares a copy", batch_size: "batch", crop_pad: "padded crop",
  lr_schedule: "schedule", lr_plateau: "plateau", l2_dense: "L2 of the dense layer", l2: "L2", grad_clip: "gradient clip", train_images: "training images",
  test_images: "test images", conv_algorithm: "convolutions", stop_on_nan: "stop on NaN", ema: "EMA", tta: "TTA" };

export function title(name) {
  return TITLES[name] || name.replaceAll("_", " ");
}

export function valueText(value, name = "") {
  if (value === 0 && (name === "train_images" || name === "test_images")) { return "all"; }
  if (value === null || value === undefined) { return "none"; }
  if (value === true || value === false) { return value ? "on" : "off"; }
  if (Array.isArray(value) && value.every((step) => step && typeof step === "object" && "epoch" in step && "lr" in step)) {
    return value.map(({ epoch, lr }) => (epoch === 0 ? String(lr) : `${lr} from ${epoch}`)).join(", ");
  }
  if (typeof value === "object" && !Array.isArray(value)) { return Object.entries(value).map(([key, part]) => `${title(key)} ${part}`).join(", ") || "none"; }
  return plain(typeof value === "object" ? JSON.stringify(value) : String(value));
}

// The fields in which configs differ: what is compared first, then the rest in the order of the API.
export function differing(configs) {
  const names = [...new Set(configs.flatMap((config) => Object.keys(config)))];
  const first = ["m", "seed"].filter((name) => names.includes(name));
  return [...first, ...names.filter((name) => !first.includes(name))]
    .filter((name) => new Set(configs.map((config) => JSON.stringify(config[name]))).size > 1);
}

// "ResNet-44, cifar10, cutout size 16, 100 epochs": what people ask for first, of the fields in which runs do not differ.
export function same(config, varies) {
  const texts = { depth: (v) => `ResNet-${v}`, dataset: plain, m: (v) => `M ${v}`, cutout_size: (v) => (v === 0 ? "no cutout" : `cutout ${v}`), preset: plain,
    optimizer: plain, lr: (v) => `learning rate ${v}`, batch_size: (v) => `batch ${v}`, epochs: (v) => `${v} epoch${v === 1 ? "" : "s"}` };
  return Object.entries(texts).filter(([name]) => name in config && !varies.includes(name)).map(([name, text]) => text(config[name]));
}

// The learning rate of an epoch that is to come, epochs counted from 0; null where the config does not tell it.
export function plannedRate(config, epoch) {
  const { lr_schedule: schedule, lr, epochs } = config;
  if (config.lr_plateau) { return null; }
  if (schedule === "constant") { return lr; }
  if (schedule === "cosine") { return lr * 0.5 * (1 + Math.cos(Math.PI * epoch / epochs)); }
  if (!Array.isArray(schedule)) { return null; }
  return schedule.reduce((now, step) => (step.epoch <= epoch ? step.lr : now), lr);
}

// 'key:value other:value' as an object; null: something in it is not a label.
export function labelsOf(text) {
  const labels = {};
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const at = word.search(/[:=]/);
    if (at < 1) { return null; }
    labels[word.slice(0, at)] = word.slice(at + 1);
  }
  return labels;
}

export function labelsText(labels) {
  return Object.entries(labels || {}).map(([key, value]) => `${key}:${value}`).join(" ");
}
