"""What tools/quickstart says of its runs: do the curves differ by M, and the figure of them.

    python3 tools/python/quickstart.py URL FIGURE.png ID...
"""

import statistics
import sys

import cutoutd


def percent(errors):
    text = f"{100 * statistics.mean(errors):.1f} %"
    return text if len(errors) == 1 else (f"{text} ({100 * min(errors):.1f} to "
                                          f"{100 * max(errors):.1f} over {len(errors)} seeds)")


def sentence(errors):
    """errors: {m: [validation error at the end, of each seed]}."""
    if len(errors) < 2:
        return "There is one M alone: nothing to compare."
    least, most = min(errors), max(errors)
    few, many = errors[least], errors[most]
    words = (f"M = {most} ends with a validation error of {percent(many)}, M = {least} with "
             f"{percent(few)}.\n")
    if min(len(few), len(many)) < 2:
        return words + "With one seed of an M nobody can say whether that is M or chance."
    if max(many) < min(few) or max(few) < min(many):
        which = "better" if max(many) < min(few) else "worse"
        words += (f"Every seed with M = {most} is {which} than every seed with M = {least}: the curves "
                  "differ by M beyond the noise of the seeds.")
    else:
        words += "The seeds overlap: the curves do not differ by M beyond the noise of the seeds."
    if max(many) < min(few):
        return words
    return words + ("\nThat is what so short a training can show: every M makes the same number of steps, "
                    "and after so few of them the\nnetwork has not learned these images yet, let alone by "
                    "heart, which is what M and cutout are against. Longer ones:\ntests/reproduction.")


def main():
    url, figure, *ids = sys.argv[1:]
    lab = cutoutd.Client(url)
    errors = {}
    for run in map(lab.run, ids):
        errors.setdefault(run["config"]["m"], []).append(run["last"]["val_error"])
    print(sentence(errors))
    lab.figure(ids, "png", group_by="m", title="Validation error by M, the mean of the seeds").save(figure)
    print(f"The curves are in {figure}")


if __name__ == "__main__":
    main()
