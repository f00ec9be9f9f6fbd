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
        return words + "With one seed each nobody can say whether that is M or chance."
    if max(many) < min(few):
        return words + (f"Every seed with M = {most} is better than every seed with M = {least}: the "
                        "curves differ by M beyond the noise of the seeds.")
    if max(few) < min(many):
        return words + (f"Every seed with M = {most} is worse than every seed with M = {least}: the "
                        "curves differ by M beyond the noise of the seeds.")
    return words + ("The seeds overlap: so small a training does not show a difference beyond their "
                    "noise. More epochs, more images or more seeds would.")


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
