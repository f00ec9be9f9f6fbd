"""What tools/reproduce trains, and the tables that are made of it. Knows no daemon.

A run belongs to one or several parts; runs.csv says which, epochs.csv has their histories. Every
number of a table comes from these two files, or from the source notebook's own
(tests/reproduction/notebook_log.csv, notebook_times.csv).
"""

import csv
import hashlib
import json
import math
import os
import re
import statistics

BATCH = 64  # source images of a step, as in the notebook
NOTEBOOK_STEPS = 781  # of an epoch, there

# Title, what the curves run along, what groups them.
PARTS = {
    "equal-epochs": ("Equal epochs", "epoch", "m"),
    "equal-images": ("Equal images", "images", "m"),
    "equal-batch": ("Equal batch and equal images", "images", "m"),
    "squares": ("M squares on one copy", "epoch", "cutout_squares,m,copies"),
    "pair": ("ResNet-44", "epoch", "m"),
}

RUN_COLUMNS = ("run", "key", "parts", "depth", "m", "copies", "cutout_squares", "batch_size",
               "epochs", "seed", "arithmetic", "dataset_sha256")


class Plan:
    """The runs, in the order in which they are trained: all parts with the first seed come first."""

    def __init__(self, options):
        self.entries = {}  # key -> {"fields", "parts"}, in order
        self.options = options
        for seed in range(1, options.seeds + 1):
            self._axes(seed)
            if seed == 1:
                self._squares()
                self._pair()

    def _add(self, part, **fields):
        options = self.options
        fields = dict({"preset": "notebook-q3", "depth": options.depth, "m": 1,
                       "copies": "independent", "cutout_squares": 1, "batch_size": BATCH,
                       "train_images": options.train_images, "test_images": options.test_images,
                       "seed": 1}, **fields)
        if options.dataset:
            fields["dataset"] = options.dataset
        key = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
        entry = self.entries.setdefault(key, {"fields": fields, "parts": []})
        if part not in entry["parts"]:
            entry["parts"].append(part)

    def _axes(self, seed):
        """The learning rate falls to 0 by a cosine: with a constant one the error at the end jumps
        by more than the M differ."""
        options = self.options
        for m in options.m:
            self._add("equal-epochs", m=m, seed=seed, epochs=options.epochs, lr_schedule="cosine")
        for m in options.m:
            epochs = options.epochs * options.reference // m
            self._add("equal-images", m=m, seed=seed, epochs=epochs, lr_schedule="cosine")
        for m in options.m:
            epochs = options.epochs * options.reference // m
            self._add("equal-batch", m=m, seed=seed, epochs=epochs, lr_schedule="cosine",
                      batch_size=BATCH // m)

    def _squares(self):
        """As the notebook has it, its constant learning rate included."""
        options = self.options
        for squares in options.squares:
            self._add("squares", cutout_squares=squares, epochs=options.squares_epochs)
        if 2 in options.squares:
            self._add("squares", m=2, copies="aliased", epochs=options.squares_epochs)

    def _pair(self):
        options = self.options
        for m in options.pair:
            self._add("pair", depth=44, m=m, epochs=options.epochs, lr_schedule="cosine")

    def name(self, key):
        entry = self.entries[key]
        fields = entry["fields"]
        words = [entry["parts"][0], f"m={fields['m']}"]
        if fields["cutout_squares"] != 1 or "squares" in entry["parts"]:
            words.append(f"{fields['copies']} squares={fields['cutout_squares']}")
        return " ".join([*words, f"seed={fields['seed']}"])

    def images(self, key):
        """How many a run trains, to compare runs by."""
        fields = self.entries[key]["fields"]
        return fields["epochs"] * fields["m"] * fields["train_images"]


class Results:
    """The stored histories of the runs that have ended."""

    def __init__(self, directory):
        self.directory = directory
        self.runs = _read(os.path.join(directory, "runs.csv"))
        self.epochs = {run["run"]: [] for run in self.runs}
        for row in _read(os.path.join(directory, "epochs.csv")):
            self.epochs[row["run"]].append(row)

    def of(self, part):
        return [run for run in self.runs if part in run["parts"].split()]

    def groups(self, part, by=lambda run: int(run["m"])):
        """[(value, runs)], in order of the value."""
        values = sorted({by(run) for run in self.of(part)})
        return [(value, [run for run in self.of(part) if by(run) == value]) for value in values]

    def last(self, run, column="val_error"):
        return float(self.epochs[run["run"]][-1][column])

    def best(self, run):
        return min(float(row["val_error"]) for row in self.epochs[run["run"]])

    def total(self, run, column):
        return sum(float(row[column]) for row in self.epochs[run["run"]])

    def speed(self, run):
        return statistics.median(float(row["images_per_second"]) for row in self.epochs[run["run"]])

    def reached(self, run, target):
        """Epochs, images and seconds until the error was at most this; None: never."""
        images = seconds = 0
        for row in self.epochs[run["run"]]:
            images += int(row["images"])
            seconds += float(row["seconds"])
            if float(row["val_error"]) <= target:
                return int(row["epoch"]), images, seconds
        return None


def _read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _table(head, rows):
    if not rows:
        return "None has been trained to the end yet."
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _percent(value):
    return f"{100 * value:.2f}"


def _spread(values):
    """Mean, and from where to where the seeds go."""
    text = _percent(statistics.mean(values))
    if len(values) > 1:
        text += f" ({_percent(min(values))} to {_percent(max(values))})"
    return text


def _count(number):
    return f"{number:,.0f}"


def axis_table(results, part):
    rows = []
    for m, runs in results.groups(part):
        first = runs[0]
        rows.append((m, first["batch_size"], first["epochs"],
                     _count(results.total(first, "steps")), _count(results.total(first, "images")),
                     len(runs), _spread([results.last(run) for run in runs]),
                     _spread([results.best(run) for run in runs]),
                     _percent(statistics.mean(results.last(run, "train_accuracy")
                                              for run in runs))))
    return _table(("M", "images of a step, before copies", "epochs", "steps", "instances trained",
                   "seeds", "validation error at the end, %", "best, %", "train accuracy, %"), rows)


def target_table(results):
    """Until each M was as good as the least one at its end."""
    groups = results.groups("equal-epochs")
    if not groups:
        return "None has been trained to the end yet."
    least, runs = groups[0]
    target = statistics.mean(results.last(run) for run in runs)
    rows = []
    for m, runs in groups:
        reached = [found for run in runs if (found := results.reached(run, target))]
        means = [statistics.mean(values) for values in zip(*reached)]
        rows.append((m, f"{len(reached)} of {len(runs)}",
                     *([f"{means[0]:.1f}", _count(means[1]), _count(means[2])]
                       if reached else ["-"] * 3)))
    return (f"Until the validation error was at most {_percent(target)} %, which M = {least} ended "
            "with (mean of its seeds):\n\n"
            + _table(("M", "seeds that reached it", "epochs", "instances", "seconds"), rows))


def squares_table(results):
    rows = []
    for (squares, m, copies), runs in results.groups(
            "squares", lambda run: (int(run["cutout_squares"]) * int(run["m"]), int(run["m"]),
                                    run["copies"])):
        for run in runs:
            what = f"{copies}, M = {m}" if m > 1 else "one copy"
            epochs = results.epochs[run["run"]]
            rows.append((squares, what, len(epochs),
                         _percent(float(epochs[0]["train_accuracy"])),
                         _percent(results.last(run, "train_accuracy")),
                         _percent(results.best(run)),
                         _percent(results.last(run))))
    return _table(("squares on an image", "how", "epochs", "train accuracy, first epoch, %",
                   "last, %", "validation error, best, %", "last, %"), rows)


def notebook_table(results, page):
    """The notebook's epochs beside those of ours that end at about as many steps."""
    log = _read(os.path.join(page, "notebook_log.csv"))
    rows = []
    for squares, runs in results.groups("squares", lambda run: int(run["cutout_squares"])):
        theirs = [row for row in log if int(row["m"]) == squares]
        run = runs[0]
        steps = 0
        ends = {}
        for row in results.epochs[run["run"]]:
            steps += int(row["steps"])
            ends[steps] = row
        for there in theirs:
            at = NOTEBOOK_STEPS * int(there["epoch"])
            nearest = min(ends, key=lambda end: abs(end - at))
            ours = ends[nearest]
            if abs(nearest - at) > int(ours["steps"]) / 2:
                continue
            rows.append((squares, there["epoch"], ours["epoch"], _count(at), _count(nearest),
                         _percent(float(there["train_accuracy"])),
                         _percent(float(ours["train_accuracy"])),
                         _percent(1 - float(there["val_accuracy"])),
                         _percent(float(ours["val_error"]))))
    if not rows:
        return "No run has as many squares and steps as an epoch of the notebook's log."
    return _table(("M there, squares here", "epoch there", "here", "steps there", "here",
                   "train accuracy there, %", "here, %", "validation error there, %", "here, %"),
                  rows)


def speed_table(results, page):
    times = {int(row["m"]): row for row in _read(os.path.join(page, "notebook_times.csv"))}
    ours = {part: dict(results.groups(part)) for part in ("equal-epochs", "pair")}
    rows = []
    for m in sorted({*times, *ours["equal-epochs"], *ours["pair"]}):
        there = ["-", "-"]
        if m in times:
            seconds = float(times[m]["seconds"]) / int(times[m]["epochs"])
            there = [f"{seconds:.1f}", _count(NOTEBOOK_STEPS * BATCH * m / seconds)]
        here = [_count(statistics.median(results.speed(run) for run in ours[part][m]))
                if m in ours[part] else "-" for part in ("equal-epochs", "pair")]
        rows.append((m, *there, *here))
    return _table(("M", "notebook, ResNet-44: seconds an epoch", "instances a second",
                   "here, ResNet-20: instances a second", "ResNet-44"), rows)


def _seeds(n):
    return "one seed" if n == 1 else f"{n} seeds"


def _noise(error, n_images):
    """Two standard errors of an error that is measured on so many images."""
    return 2 * math.sqrt(error * (1 - error) / n_images)


def answer(results):
    """The numbers of the three axes in sentences: the least and the largest M that have ended."""
    words = {
        "equal-epochs": "At equal epochs",
        "equal-images": "At equal images",
        "equal-batch": "At equal images, in batches of equal size",
    }
    sentences = []
    for part, begin in words.items():
        groups = results.groups(part)
        if len(groups) < 2:
            sentences.append(f"{begin}: not trained yet.")
            continue
        (least, few), (most, many) = groups[0], groups[-1]
        errors = [[results.last(run) for run in runs] for runs in (few, many)]
        factor = results.total(many[0], "images") / results.total(few[0], "images")
        cost = ("as many instances" if abs(factor - 1) < 0.02 else f"{factor:.3g} times the instances")
        apart = max(errors[1]) < min(errors[0]) or max(errors[0]) < min(errors[1])
        means = [statistics.mean(e) for e in errors]
        n_images = int(results.last(few[0], "val_total"))
        noise = _noise(means[0], n_images)
        n_few, n_many = map(len, errors)
        how = ("one seed each" if n_few == n_many == 1 else
               f"{_seeds(n_many)} of the former, {_seeds(n_few)} of the latter" if min(n_few, n_many) == 1 else
               "the seeds overlap" if not apart else
               "the seeds do not overlap" if abs(means[1] - means[0]) > noise else
               f"the seeds do not overlap, but {n_images:,} test images do not tell {100 * noise:.1f} points apart")
        sentences.append(f"{begin}, M = {most} ends at {_percent(means[1])} % and M = {least} at {_percent(means[0])} % "
                         f"validation error, by {cost} ({how}).")
    return "\n".join(f"* {sentence}" for sentence in sentences)


def lacks(results, page):
    """What of the plan has not ended (plan.csv: every run of it)."""
    path = os.path.join(page, "plan.csv")
    ended = {run["key"] for run in results.runs}
    rows = [row for row in (_read(path) if os.path.exists(path) else []) if row["key"] not in ended]
    if not rows:
        return "Every run of the plan has ended."
    return ("**Not trained to the end yet, and left out:** "
            + "; ".join(row["name"] for row in rows) + ".")


def tables(results, page):
    """{name: Markdown}; `page` is the folder of the notebook's own numbers."""
    figures = {f"{part}-figure": f"![{title}]({part}.svg)" if results.of(part) else ""
               for part, (title, _, _) in PARTS.items()}
    return {
        **figures,
        "answer": answer(results),
        "lacks": lacks(results, results.directory),
        "equal-epochs": axis_table(results, "equal-epochs"),
        "target": target_table(results),
        "equal-images": axis_table(results, "equal-images"),
        "equal-batch": axis_table(results, "equal-batch"),
        "squares": squares_table(results),
        "notebook": notebook_table(results, page),
        "pair": axis_table(results, "pair"),
        "speed": speed_table(results, page),
    }


def fill_in(text, blocks):
    """The text with each `<!-- reproduce: NAME -->` ... `<!-- end -->` filled anew."""
    def block(match):
        return f"<!-- reproduce: {match[1]} -->\n{blocks[match[1]]}\n<!-- end -->"
    return re.sub(r"<!-- reproduce: (\S+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)
