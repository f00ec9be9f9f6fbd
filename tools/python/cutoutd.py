"""cutoutd from Python, for notebooks and scripts: one file, the standard library, pandas if it is there.

    from cutoutd import Client
    lab = Client()                                  # CUTOUTCTL_SERVER, else http://127.0.0.1:8080
    run = lab.submit(m=8, cutout_size=12, epochs=50)
    sweep = lab.sweep(m=[1, 2, 4], seed=[1, 2])
    lab.wait(sweep)
    lab.epochs(sweep)                               # a DataFrame; without pandas a list of dictionaries
    lab.compare(sweep, target=0.06)
    lab.figure(sweep, target=0.06)                  # drawn in the notebook; .save("curves.svg")

A refused request raises Problem, whose text says what is wrong with which field. Requests that may
be repeated (everything that reads, and a POST with an Idempotency-Key) are tried again while the
daemon restarts or is busy, from the first failure on for as long as Client(patience=...) says.
"""

import http.client
import inspect
import json
import os
import socket
import ssl
import time
import urllib.parse
import uuid

FINAL_STATES = ("succeeded", "failed", "canceled")

# Written by tools/python/generate from api/openapi: begin
RUN_FIELDS = {
    "name":
        "string: For people; at most 127 bytes.",
    "preset":
        "string: Where the other fields begin; GET /api/v1/presets.",
    "dataset":
        "string: One of GET /api/v1/datasets.",
    "depth":
        "integer 8 to 110: Layers of the ResNet: 6n+2.",
    "epochs":
        "integer 1 to 100000: How often the training images are gone through.",
    "batch_size":
        "integer 1 to 65536: Images of a step before they are copied.",
    "m":
        "integer 1 to 1024: Copies of each image in a batch.",
    "unique_per_batch":
        "boolean: batch_size counts all copies: a step has batch_size / m images with m "
        "copies each.",
    "copies":
        "\"independent\" | \"aliased\": independent: each copy has its own squares; aliased: "
        "each has those of all.",
    "cutout_size":
        "integer 0 to 32: Side of a cutout square in pixels; 0: none.",
    "cutout_squares":
        "integer 1 to 1024: Squares of a copy. m times as many: at most 4096, which take "
        "about as long as training the copy.",
    "shift":
        "number 0 to 1: Largest random shift, as a part of the side.",
    "flip":
        "Mirror a copy with probability 1/2; alternate: by turns, from epoch to epoch and"
        " from copy to copy, where a hash of the image says which is first.",
    "mix":
        "\"none\" | \"cutmix\" | \"mixup\" | \"erasing\": In the place of cutout, what it is "
        "compared with: cutmix (a rectangle of another training image, and its share of "
        "the label), mixup (a weighted mean with one) or erasing (random erasing); none: "
        "cutout itself.",
    "mix_alpha":
        "number 0.05 to 100: Of cutmix and mixup: the share of the other image is drawn "
        "from Beta(alpha, alpha).",
    "crop_pad":
        "integer 0 to 16: Zeros around the image before a random crop; 0: no crop.",
    "normalise":
        "\"pixel_mean\" | \"channel\": What is taken from the pixels.",
    "drop_last":
        "boolean: Leave out the last, smaller batch of an epoch.",
    "optimizer":
        "\"adam\" | \"rmsprop\" | \"sgd\": The rule by which the weights are changed.",
    "lr":
        "number 1e-12 to 100: Learning rate at epoch 0; alone it scales the preset's "
        "schedule.",
    "momentum":
        "number 0 to 0.9999: Of sgd.",
    "nesterov":
        "boolean: Of sgd.",
    "lr_schedule":
        "Learning rates from given epochs on, constant, cosine, or linear: up over a "
        "share of all steps (warmup), then down to 0.",
    "lr_plateau":
        "boolean: Lower the rate when val_loss no longer falls.",
    "l2":
        "number 0 to 1: Penalty l2 * sum of squares (without 1/2) of the convolutions' "
        "kernels.",
    "l2_dense":
        "boolean: The dense layer's kernel as well.",
    "grad_clip":
        "number from 0: Bound of the gradient's L2 norm, the penalty's included, before "
        "the optimizer; 0: none.",
    "label_smoothing":
        "number 0 to 0.99: Share of the training target that is spread over all classes.",
    "backward_share":
        "number 0.001 to 1: Share of a step's instances that get a backward pass, those "
        "with the highest loss; below 1 all go forward once more, to find them.",
    "ema":
        "number 0 to 0.999999: Decay a step of a moving average of the weights, which is "
        "validated too (val_error_ema); 0: none.",
    "tta":
        "\"none\" | \"mirror\": mirror: validate each image together with its mirror image "
        "too (val_error_tta).",
    "shortcut":
        "\"conv\" | \"conv_bn\": Beside a block that halves the image: a 1x1 convolution, or "
        "one with batch normalisation behind it, as the paper's network has it.",
    "conv_bias":
        "boolean: Convolutions have a bias; one in front of a batch normalisation stays "
        "0.",
    "bn_epsilon":
        "number 1e-08 to 0.1: What batch normalisation adds to a variance: 0.001 in "
        "Keras, 0.00001 in PyTorch.",
    "bn_momentum":
        "number 0 to 0.9999: Share of the moving statistics that a step keeps: PyTorch's "
        "momentum is 1 minus it.",
    "last_gamma":
        "\"one\" | \"zero\": What the last batch normalisation of a block begins with: zero "
        "makes the block begin as its shortcut.",
    "seed":
        "integer 0 to 9007199254740991: Of all random numbers of the run.",
    "train_images":
        "integer 0 to 1000000: The first so many of the data set; 0: all.",
    "test_images":
        "integer 0 to 1000000: The first so many of the data set; 0: all.",
    "conv_algorithm":
        "\"auto\" | \"direct\" | \"winograd\": The 3x3 convolutions: Winograd F(4x4,3x3) where "
        "the processor has AVX2, or direct. auto: what the daemon is set to (winograd, "
        "unless its admin chose otherwise); the run then says what that was.",
    "activations":
        "\"f32\" | \"bf16\": What the way back needs is kept as float or as bfloat16, which "
        "takes half of the memory; arithmetic is that of float.",
    "stop":
        "object: Ends the run, succeeded, after the first epoch at which a rule holds: "
        "val_error is not above this, so many epochs of patience without a new best, "
        "max_seconds of training.",
    "stop_on_nan":
        "boolean: Fail when a loss is no longer a finite number, or the training cross-"
        "entropy of an epoch is above ten times that of guessing.",
    "priority":
        "integer -1000 to 1000: Higher runs first.",
    "labels":
        "Names and values of your own, to find runs by.",
    "executor":
        "string: What shall train the run: the name of an executor; the first one of the "
        "daemon when it is left out.",
    "hold":
        "boolean: Do not start before it is released.",
    "after":
        "array: Runs that must succeed before.",
    "not_before":
        "string or null: Do not start earlier, a time such as 2030-01-31T20:00:00Z.",
    "notify":
        "array: Names of webhooks that are told when it ends.",
}
COMPARE_ARGUMENTS = (
    "group_by", "x", "metric", "target", "baseline",
)
FIGURE_ARGUMENTS = (
    "group_by", "x", "metric", "target", "baseline", "theme", "width", "height", "title",
    "y", "x_log", "unit", "seeds", "smooth", "zoom", "hide",
)
EPOCH_COLUMNS = (
    "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_error",
    "val_wrong", "val_total", "lr", "seconds", "images_per_second", "images", "steps",
    "val_error_tta", "val_error_ema",
)
# end


class Problem(Exception):
    """The daemon's refusal (application/problem+json): .status, .problem, and its text in words."""

    def __init__(self, status, problem):
        self.status = status
        self.problem = problem
        lines = [problem.get("detail") or problem.get("title") or f"status {status}"]
        for error in problem.get("errors", []):
            where = error.get("pointer") or error.get("parameter") or ""
            lines.append(f"{where.lstrip('/')}: {error.get('detail', '')}")
        super().__init__("\n".join(lines))


class Unreachable(Exception):
    """Nothing answers where the daemon should be."""


class Answer:
    """Status, headers (names in lower case) and body of one answer."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


class Figure:
    """A picture that a notebook shows; .data is its bytes, .kind is svg, png or pdf."""

    def __init__(self, kind, data):
        self.kind = kind
        self.data = data

    def _repr_svg_(self):
        return self.data.decode() if self.kind == "svg" else None

    def _repr_png_(self):
        return self.data if self.kind == "png" else None

    def save(self, path):
        with open(path, "wb") as file:
            file.write(self.data)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """A daemon. Not for several threads at once; each thread may have its own."""

    def __init__(self, server=None, token=None, cacert=None, timeout=60, patience=60):
        """`server`: a URL, or unix:PATH; `token` and `cacert` (a file) as cutoutctl takes them;
        `timeout`: seconds for one answer; `patience`: seconds for which a request that may be
        repeated is tried again, from its first failure on."""
        self.server = server or os.environ.get("CUTOUTCTL_SERVER") or "http://127.0.0.1:8080"
        self.token = token or os.environ.get("CUTOUTD_TOKEN") or os.environ.get("CUTOUTCTL_TOKEN")
        self.cacert = cacert or os.environ.get("CUTOUTCTL_CACERT")
        self.timeout = timeout
        self.patience = patience

    # Requests.

    def _connect(self):
        """A connection, and the path that the server's paths begin with."""
        if self.server.startswith("unix:"):
            return _UnixConnection(self.server[len("unix:"):], self.timeout), ""
        url = urllib.parse.urlsplit(self.server)
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=self.cacert)
            connection = http.client.HTTPSConnection(url.hostname, url.port or 443,
                                                     timeout=self.timeout, context=context)
        elif url.scheme == "http":
            connection = http.client.HTTPConnection(url.hostname, url.port or 80,
                                                    timeout=self.timeout)
        else:
            raise ValueError(f"not a server: {self.server}")
        return connection, url.path.rstrip("/")

    def _send(self, method, path, query, body, headers):
        """The connection and its answer, whose body is not read yet."""
        connection, prefix = self._connect()
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        if body is not None:
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        target = prefix + "/api/v1" + urllib.parse.quote(path)
        if query:
            target += "?" + "&".join(f"{name}={urllib.parse.quote(_argument(value), safe=',')}"
                                     for name, value in query.items() if value is not None)
        try:
            connection.request(method, target, body, headers)
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def request(self, method, path, query=None, body=None, headers=None):
        """One request below /api/v1; an Answer, or raises Problem or Unreachable."""
        key = (headers or {}).get("Idempotency-Key")
        deadline = None
        pause = 0.1
        while True:
            try:
                connection, response = self._send(method, path, query, body, headers)
                try:
                    answer = Answer(response.status,
                                    {name.lower(): value for name, value in response.getheaders()},
                                    response.read())
                finally:
                    connection.close()
                if answer.status < 400:
                    return answer
                failure = Problem(answer.status, _problem_of(answer))
                may_pass, least = _may_pass(answer), _retry_after(answer)
            except (OSError, http.client.HTTPException) as error:
                unknown = f"; it may have been done: idempotency_key={key!r} gets its answer" if key else ""
                failure = Unreachable(f"{self.server}: {error}{unknown}")
                failure.__cause__ = error
                may_pass, least = True, 0
            now = time.monotonic()
            deadline = deadline or now + self.patience
            if not may_pass or not (method == "GET" or key) or now + pause > deadline:
                raise failure
            pause = min(max(pause, least), deadline - now)
            time.sleep(pause)
            pause = min(2 * pause, 5)

    def get(self, path, **query):
        """The JSON of a GET."""
        return self.request("GET", path, query).json()

    def pages(self, path, **query):
        """The items of a list, over all its pages."""
        query = dict({"limit": 500}, **query)
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def stream(self, path, query=None):
        """The events of a stream, dictionaries with "event" and "data", until it ends or breaks."""
        connection, response = self._send("GET", path, dict(query or {}, format="ndjson"), None, {})
        try:
            if response.status != 200:
                body = response.read()
                raise Problem(response.status, _problem_of(Answer(response.status, {}, body)))
            for line in response:
                if not line.endswith(b"\n"):
                    return  # it broke off in the middle
                if line.strip():
                    yield json.loads(line)
        finally:
            connection.close()

    # What a lab does.

    def submit(self, idempotency_key=None, **fields):
        """Submits a run and returns it. `idempotency_key`: the same key gets the same run again.
        The fields, each optional: RUN_FIELDS says what they are."""
        key = idempotency_key or str(uuid.uuid4())
        return self.request("POST", "/runs", None, fields, {"Idempotency-Key": key}).json()

    def sweep(self, name=None, idempotency_key=None, **fields):
        """Submits a run for each combination of those fields that are lists; returns the sweep.
        Lists that are one value (lr_schedule, after) belong into POST /sweeps itself."""
        whole = ("lr_schedule", "after")
        grid = {field: value for field, value in fields.items()
                if isinstance(value, (list, tuple, range)) and field not in whole}
        base = {field: value for field, value in fields.items() if field not in grid}
        body = {"base": base, "grid": {field: list(values) for field, values in grid.items()}}
        if name is not None:
            body["name"] = name
        key = idempotency_key or str(uuid.uuid4())
        return self.request("POST", "/sweeps", None, body, {"Idempotency-Key": key}).json()

    def run(self, run):
        """A run as it is now."""
        return self.get(f"/runs/{_id(run)}")

    def runs(self, **filters):
        """All runs that a list's filters leave: state="queued,running", m=8, label="team:vision"."""
        return list(self.pages("/runs", **filters))

    def runs_of(self, what):
        """The ids of a sweep's runs, of one run, or of a list of runs."""
        if _is_sweep(what):
            return [run["id"] for run in self.pages("/runs", sweep=what["id"], sort="id",
                                                    fields="id")]
        if isinstance(what, (list, tuple)):
            return [_id(run) for run in what]
        return [_id(what)]

    def wait(self, what, on_event=None):
        """Follows runs to their end and returns them as they ended; `on_event` hears the events. One
        that its sweep's halving left behind stays paused, and has ended too."""
        return [self._wait_for(run, on_event) for run in self.runs_of(what)]

    def _wait_for(self, run, on_event):
        failures = 0
        while True:
            state = self.run(run)  # with patience, while the daemon restarts
            if has_ended(state):
                return state
            try:
                for event in self.stream(f"/runs/{run}/events"):
                    failures = 0
                    if on_event:
                        on_event(event)
                    # Whether it is paused for good is not in every event, and the stream stays open.
                    if (event.get("data") or {}).get("state") == "paused":
                        state = self.run(run)
                        if has_ended(state):
                            return state
            except (OSError, http.client.HTTPException, Problem) as error:
                if isinstance(error, Problem) and error.status < 500:
                    raise
                failures += 1
                time.sleep(min(0.1 * 2 ** min(failures, 6), 5))

    def epochs(self, what):
        """The history of each run, a row an epoch: its id as `run`, then EPOCH_COLUMNS. A DataFrame
        with pandas."""
        rows = []
        for run in self.runs_of(what):
            for row in self.pages(f"/runs/{run}/epochs"):
                rows.append(dict({"run": run}, **row))
        return _frame(rows)

    def compare(self, what, **arguments):
        """GET /compare: groups of runs with their curves, best errors and time to `target`. The
        arguments: COMPARE_ARGUMENTS."""
        return self.get("/compare", **self._compared(what), **arguments)

    def figure(self, what, kind="svg", **arguments):
        """The curves as a picture. The arguments: FIGURE_ARGUMENTS."""
        answer = self.request("GET", f"/figures/validation-error.{kind}",
                              dict(self._compared(what), **arguments))
        return Figure(kind, answer.body)

    def _compared(self, what):
        if _is_sweep(what):
            return {"sweep": what["id"]}
        return {"ids": self.runs_of(what)}


def has_ended(run):
    """Whether a run, as the daemon shows it, goes on no more unless it is resumed or requeued."""
    ranked_out = (run.get("halving") or {}).get("ranked_out")
    return run["state"] in FINAL_STATES or (run["state"] == "paused" and bool(ranked_out))


def _is_sweep(what):
    return isinstance(what, dict) and "spec" in what


def _id(run):
    return str(run["id"] if isinstance(run, dict) else run)


def _argument(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)


def _may_pass(answer):
    """Whether the same request may be answered otherwise in a moment: the daemon is busy or, says
    the proxy before it, away; or it is answering a request with this Idempotency-Key."""
    return answer.status in (502, 503, 504) or (answer.status == 409 and "retry-after" in answer.headers)


def _retry_after(answer):
    """Seconds; a proxy may name a date instead, which nothing is made of."""
    text = answer.headers.get("retry-after", "")
    return int(text) if text.isdecimal() else 0


def _problem_of(answer):
    try:
        problem = json.loads(answer.body)
    except ValueError:
        problem = {}
    return problem if isinstance(problem, dict) else {}


def _frame(rows):
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows)


def _with_fields(function, names):
    """So that a notebook completes them."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD]
    parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=inspect.Parameter.empty)
                   for name in names if name not in signature.parameters]
    function.__signature__ = signature.replace(parameters=parameters)


_with_fields(Client.submit, RUN_FIELDS)
_with_fields(Client.sweep, RUN_FIELDS)
_with_fields(Client.compare, COMPARE_ARGUMENTS)
_with_fields(Client.figure, FIGURE_ARGUMENTS)
