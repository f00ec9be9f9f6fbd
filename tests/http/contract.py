"""Holds every answer of the daemon against its description, api/openapi.

What a request and its answer look like is compared with the document: path and method, status,
content type, headers, body; of a request that was accepted also the query arguments and the body.
Without python3-jsonschema the bodies are not looked at, which is said once on stderr.
"""

import json
import os
import re
import sys
from urllib.parse import parse_qsl, unquote

try:
    from jsonschema import Draft202012Validator
except ImportError:
    Draft202012Validator = None
    print("SKIPPED: no python3-jsonschema here, so no body is validated against api/openapi",
          file=sys.stderr)

API = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../api")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def read_document():
    """The document as api/openapi/embed.cmake joins it: its frame, and a file a resource."""
    folder = os.path.join(API, "openapi")
    with open(os.path.join(folder, "document.json"), encoding="utf-8") as file:
        document = json.load(file)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json") and name != "document.json":
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                resource = json.load(file)
            document["paths"].update(resource["paths"])
            document["components"]["schemas"].update(resource["schemas"])
    return document


def resolve(root, node):
    """The node with every $ref replaced by what it points at."""
    if isinstance(node, list):
        return [resolve(root, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        return resolve(root, target)
    return {key: resolve(root, value) for key, value in node.items()}


class Contract:
    def __init__(self):
        self.document = read_document()
        self.paths = resolve(self.document, self.document["paths"])
        self.schemas = resolve(self.document, self.document["components"]["schemas"])
        self.patterns = [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), path)
                         for path in self.paths]
        self.validators = {}

    def methods(self, path):
        """The methods of all templates that the path fits, HEAD too, with their operations."""
        found = {}
        for pattern, template in self.patterns:
            if pattern.fullmatch(path):
                for method, operation in self.paths[template].items():
                    if "{" in template and method.upper() in found:
                        continue  # /runs/bulk is no run
                    found[method.upper()] = operation
        if "GET" in found:
            found["HEAD"] = found["GET"]
        return found

    def errors_of(self, schema, value):
        """What is wrong with the value, a line each."""
        if not Draft202012Validator:
            return []
        key = id(schema)  # schemas live as long as the contract
        if key not in self.validators:
            self.validators[key] = Draft202012Validator(schema)
        return [f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
                for error in self.validators[key].iter_errors(value)]

    def check(self, method, target, response, sent=None):
        """Raises AssertionError when the answer, or a request that was accepted, is not as
        described. `sent` is the body that was sent, bytes or None."""
        path, _, query = target.partition("?")
        wrong = self.differences(method, unquote(path), query, response, sent)
        if wrong:
            raise AssertionError(f"{method} {target}: {response.status} is not as api/openapi "
                                 "says:\n  " + "\n  ".join(wrong) + f"\n{response.body[:2000]}")

    def differences(self, method, path, query, response, sent):
        operation = self.methods(path).get(method)
        if operation is None:
            return ["the document does not have this path and method"]
        described = operation["responses"].get(str(response.status))
        if described is None:
            return ["the document does not have this status"]
        wrong = self.check_headers(described, response)
        if response.status < 300:
            wrong += self.check_request(operation, query, sent)
        names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        return wrong + self.check_content(described, response, names, method == "HEAD")

    @staticmethod
    def check_headers(described, response):
        required = [name for name, header in described.get("headers", {}).items()
                    if header.get("required")] + ["X-Request-Id"]
        return [f"there is no header {name}" for name in required
                if name.lower() not in response.headers]

    def check_request(self, operation, query, sent):
        """What was accepted must be what the document allows."""
        known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        wrong = [f"the query argument {name} was accepted" for name, _ in parse_qsl(query)
                 if name not in known and operation.get("x-arguments") != "any"]
        types = operation.get("requestBody", {}).get("content", {})
        if "application/json" in types and sent is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            wrong += ["the body was accepted: " + line
                      for line in self.errors_of(schema, json.loads(sent))]
        return wrong

    def check_content(self, described, response, arguments, head):
        types = described.get("content", {})
        media = response.type.partition(";")[0]
        if not types:
            return [f"there is a body, {media}"] if response.body else []
        if media not in types:
            return [f"the document does not have the content type {media!r}"]
        whole_json = media.endswith("json") and media != "application/x-ndjson"
        if head or not response.body:
            return ["the body is empty"] if whole_json and not head else []
        return self.check_body(media, types[media], response, arguments)

    def check_body(self, media, described, response, arguments):
        if media.endswith("json") and media != "application/x-ndjson":
            schema = described["schema"]
            for name, stricter in described.get("x-schema-without", {}).items():
                schema = schema if name in arguments else stricter
            value = response.json()
            wrong = self.errors_of(schema, value)
            if media == "application/problem+json" and value["status"] != response.status:
                wrong.append("the problem names another status")
            return wrong
        wrong = []
        if "x-line-schema" in described:
            for line in response.body.splitlines():
                wrong += self.errors_of(described["x-line-schema"], json.loads(line))
        if "x-columns" in described:
            head = response.body.partition("\n")[0]
            if head != ",".join(described["x-columns"]):
                wrong.append(f"the columns are {head}")
        return wrong

    def check_event(self, target, event):
        """The same for an event of a stream: a dictionary of event, id, data."""
        path = target.partition("?")[0]
        streams = self.methods(path)["GET"]["responses"]["200"]["content"]
        schema = streams["text/event-stream"]["x-events"].get(event["event"])
        wrong = (["there is no such event"] if schema is None
                 else self.errors_of(schema, event["data"]))
        if wrong:
            raise AssertionError(f"an event of {target} is not as api/openapi says:\n  "
                                 + "\n  ".join(wrong) + f"\n{event}")


CONTRACT = Contract()
