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
daemon restarts or is busy, for as long as Client(patience=...) says.
"""

import http.client
import json
import os
import socket
import ssl
import time
import urllib.parse
import uuid

FINAL_STATES = ("succeeded", "failed", "canceled")


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
        repeated is tried again."""
        self.server = server or os.environ.get("CUTOUTCTL_SERVER") or "http://127.0.0.1:8080"
        self.token = token or os.environ.get("CUTOUTCTL_TOKEN")
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
        repeatable = method == "GET" or "Idempotency-Key" in (headers or {})
        deadline = time.monotonic() + self.patience
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
            except (OSError, http.client.HTTPException) as error:
                if not repeatable or time.monotonic() + pause > deadline:
                    raise Unreachable(f"{self.server}: {error}") from error
            else:
                if answer.status < 400:
                    return answer
                if (answer.status != 503 or not repeatable
                        or time.monotonic() + pause > deadline):
                    raise Problem(answer.status, _problem_of(answer))
                pause = max(pause, float(answer.headers.get("retry-after", 0)))
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
                if line.strip():
                    yield json.loads(line)
        finally:
            connection.close()

    # What a lab does.

    def submit(self, idempotency_key=None, **fields):
        """Submits a run and returns it. `idempotency_key`: the same key gets the same run again."""
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
        """Follows runs to their end and returns them as they ended; `on_event` hears the events."""
        return [self._wait_for(run, on_event) for run in self.runs_of(what)]

    def _wait_for(self, run, on_event):
        failures = 0
        while True:
            state = self.run(run)  # with patience, while the daemon restarts
            if state["state"] in FINAL_STATES:
                return state
            try:
                for event in self.stream(f"/runs/{run}/events"):
                    failures = 0
                    if on_event:
                        on_event(event)
            except (OSError, http.client.HTTPException):
                failures += 1
                time.sleep(min(0.1 * 2 ** failures, 5))

    def epochs(self, what):
        """The history of each run, a row an epoch, with the run's id: a DataFrame with pandas."""
        rows = []
        for run in self.runs_of(what):
            for row in self.pages(f"/runs/{run}/epochs"):
                rows.append(dict({"run": run}, **row))
        return _frame(rows)

    def compare(self, what, **arguments):
        """GET /compare: groups of runs with their curves, best errors and time to `target`."""
        return self.get("/compare", **self._compared(what), **arguments)

    def figure(self, what, kind="svg", **arguments):
        """The curves as a picture (group_by, x, target, title, ... as the API has them)."""
        answer = self.request("GET", f"/figures/validation-error.{kind}",
                              dict(self._compared(what), **arguments))
        return Figure(kind, answer.body)

    def _compared(self, what):
        if _is_sweep(what):
            return {"sweep": what["id"]}
        return {"ids": self.runs_of(what)}


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
