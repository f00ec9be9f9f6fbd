"""The description of the API, api/openapi: whole, complete, and true of who may do what."""

import http.client
import os
import re
import tempfile
import unittest

from contract import API, CONTRACT, METHODS, Draft202012Validator
from daemon_process import PATIENCE_S, Daemon, DaemonTestCase, Response
from test_access import make_token

ROUTER = os.path.join(API, "router.c")
SCOPES = ("none", "read", "submit", "admin")
COMMON = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def table():
    """(method, path) -> scope, out of the table of routes."""
    with open(ROUTER, encoding="utf-8") as file:
        source = file.read()
    rows = re.findall(r'^ *\{"([A-Z]+)", (V1 )?"([^"]*)",\s*SCOPE_([A-Z]+),', source, re.M)
    return {(method.lower(), ("/api/v1" if v1 else "") + path): scope.lower()
            for method, v1, path, scope in rows}


def operations():
    return {(method, path): operation for path, item in CONTRACT.paths.items()
            for method, operation in item.items() if method in METHODS}


def walk(node, at="#"):
    """Every object of the document with its place."""
    if isinstance(node, dict):
        yield at, node
    for key, value in (node.items() if isinstance(node, dict) else
                       enumerate(node) if isinstance(node, list) else ()):
        yield from walk(value, f"{at}/{key}")


class Document(unittest.TestCase):
    def test_it_has_the_routes_of_the_table_and_their_scopes(self):
        routes = table()
        self.assertGreater(len(routes), 40)
        described = {route: operation.get("x-scope") for route, operation in operations().items()}
        self.assertEqual(described, routes)

    def test_operations_have_names_of_their_own(self):
        for route, operation in operations().items():
            with self.subTest(route):
                self.assertRegex(operation["operationId"], r"^[a-z][a-z0-9_]*$")
                self.assertTrue(operation["summary"])
                self.assertIn(operation["x-scope"], SCOPES)
                self.assertEqual(operation["security"],
                                 [] if operation["x-scope"] == "none" else [{"token": []}])
        names = [operation["operationId"] for operation in operations().values()]
        self.assertEqual(len(names), len(set(names)))

    def test_references_resolve_and_every_component_is_referred_to(self):
        components = {f"#/components/{kind}/{name}"
                      for kind, items in CONTRACT.document["components"].items()
                      if kind != "securitySchemes" for name in items}
        used = {node["$ref"] for _, node in walk(CONTRACT.document) if "$ref" in node}
        self.assertEqual(used, components)

    def test_parameters_of_the_path_are_described_and_each_name_is_there_once(self):
        for (method, path), operation in operations().items():
            with self.subTest(f"{method} {path}"):
                parameters = [(p["in"], p["name"]) for p in operation.get("parameters", [])]
                self.assertEqual(len(parameters), len(set(parameters)))
                self.assertEqual({name for place, name in parameters if place == "path"},
                                 set(re.findall(r"\{(\w+)\}", path)))

    def test_responses_have_words_and_refusals_are_problems(self):
        for route, operation in operations().items():
            for status, response in operation["responses"].items():
                with self.subTest(route=route, status=status):
                    self.assertTrue(response["description"])
                    if status >= "400":
                        self.assertEqual(list(response["content"]), ["application/problem+json"])

    def test_objects_of_ours_take_nothing_that_is_not_described(self):
        for at, node in walk(CONTRACT.document["components"]["schemas"]):
            if "properties" in node and at.rsplit("/", 1)[-1] != "properties":
                with self.subTest(at):
                    self.assertIs(node["additionalProperties"], False)

    @unittest.skipUnless(Draft202012Validator, "no python3-jsonschema")
    def test_schemas_are_schemas(self):
        for name, schema in CONTRACT.schemas.items():
            with self.subTest(name):
                Draft202012Validator.check_schema(schema)


class Drift(unittest.TestCase):
    """The validation of all other tests can fail."""

    HEADERS = {"content-type": "application/json", "x-request-id": "x"}
    SCHEDULER = '{"state":"running","workers":1,"running_runs":0,"quiet":false,"quiet_until":null}'

    def refuse(self, method, path, status, body=SCHEDULER, sent=None, **headers):
        response = Response(status, dict(self.HEADERS, **headers), body)
        with self.assertRaises(AssertionError):
            CONTRACT.check(method, path, response, sent)

    def test_what_is_described_passes(self):
        CONTRACT.check("GET", "/api/v1/scheduler", Response(200, self.HEADERS, self.SCHEDULER))
        CONTRACT.check("PATCH", "/api/v1/scheduler", Response(200, self.HEADERS, self.SCHEDULER),
                       b'{"workers":2}')

    def test_other_routes_statuses_types_headers_and_arguments_do_not(self):
        self.refuse("DELETE", "/api/v1/scheduler", 200)
        self.refuse("GET", "/api/v1/schedulers", 200)
        self.refuse("GET", "/api/v1/scheduler", 201)
        self.refuse("GET", "/api/v1/scheduler?colour=red", 200)
        self.refuse("GET", "/api/v1/scheduler", 200, **{"content-type": "text/html"})
        self.refuse("GET", "/api/v1/scheduler", 401)
        with self.assertRaises(AssertionError):
            CONTRACT.check("GET", "/api/v1/scheduler",
                           Response(200, {"content-type": "application/json"}, self.SCHEDULER))

    @unittest.skipUnless(Draft202012Validator, "no python3-jsonschema")
    def test_members_more_or_less_do_not(self):
        self.refuse("GET", "/api/v1/scheduler", 200, '{"state":"running","workers":1}')
        self.refuse("GET", "/api/v1/scheduler", 200, self.SCHEDULER[:-1] + ',"mood":"good"}')
        self.refuse("GET", "/api/v1/scheduler", 200, self.SCHEDULER.replace("1", "null"))
        self.refuse("PATCH", "/api/v1/scheduler", 200, sent=b'{"workers":2,"speed":3}')
        with self.assertRaises(AssertionError):
            CONTRACT.check_event("/api/v1/events", {"event": "step", "id": None, "data": {}})


class Served(DaemonTestCase):
    """The document, and every route by every method for every kind of token."""

    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        cls.tokens = {"none": None}
        path = os.path.join(directory, "tokens")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            for scope in SCOPES[1:]:
                cls.tokens[scope], line = make_token("token-" + scope, scope)
                file.write(line + "\n")
        return Daemon(directory, {"CUTOUTD_TOKENS_FILE": path})

    def ask(self, scope, method, path):
        """One request over a connection of its own; of a stream that never ends only the head."""
        connection = http.client.HTTPConnection(self.daemon.address, timeout=PATIENCE_S)
        headers = {"Connection": "close"}
        if self.tokens[scope]:
            headers["Authorization"] = "Bearer " + self.tokens[scope]
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            endless = names.get("content-type", "").startswith("text/event-stream")
            body = "" if endless else answer.read().decode(errors="replace")
            return Response(answer.status, names, body)
        finally:
            connection.close()

    def test_the_document_is_served_to_everybody(self):
        for path in ("/openapi.json", "/api/v1/openapi.json"):
            answer = self.daemon.curl(path)
            self.assertEqual(answer.json(), CONTRACT.document)
            again = self.daemon.curl(path, "-H", "If-None-Match: " + answer.headers["etag"])
            self.assertEqual((again.status, again.body), (304, ""))
        system = self.ask("read", "GET", "/api/v1/system").json()
        self.assertEqual(CONTRACT.document["info"]["version"], system["version"])

    def test_every_route_by_every_method_for_every_scope(self):
        n_asked = 0
        for template in CONTRACT.paths:
            path = re.sub(r"\{\w+\}", "999", template)
            methods = CONTRACT.methods(path)
            for method in COMMON:
                for scope in SCOPES:
                    with self.subTest(f"{method} {path} with scope {scope}"):
                        self.check(scope, method, path, methods)
                        n_asked += 1
        self.assertEqual(n_asked, len(CONTRACT.paths) * len(COMMON) * len(SCOPES))

    def refusal(self, method, target):
        """The query argument that is refused, and why."""
        answer = self.ask("admin", method, target)
        self.assertEqual(answer.status, 400, answer.body)
        CONTRACT.check(method, target, answer)
        error, = answer.json()["errors"]
        return error["parameter"], error["detail"]

    def test_every_route_refuses_arguments_that_it_does_not_have(self):
        for (method, template), operation in operations().items():
            if operation.get("x-arguments") == "any":
                self.assertEqual(self.daemon.curl(re.sub(r"\{\w+\}", "999", template) + "?no_such_argument=1").status, 200)
                continue
            with self.subTest(f"{method} {template}"):
                path = re.sub(r"\{\w+\}", "999", template)
                known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
                name, why = self.refusal(method.upper(), path + "?no_such_argument=1")
                self.assertEqual(name, "no_such_argument")
                names = re.fullmatch(r"The arguments here are: (.*)\.", why)[1]
                self.assertEqual(set(names.split(", ")), known or {"none"})

    def test_limits_begin_at_one_everywhere(self):
        for (method, template), operation in operations().items():
            for p in operation.get("parameters", []):
                if (p["in"], p["name"]) == ("query", "limit"):
                    with self.subTest(f"{method} {template}"):
                        self.assertEqual(p["schema"]["minimum"], 1)
                        path = re.sub(r"\{\w+\}", "999", template)
                        for value in (0, -1, p["schema"]["maximum"] + 1, "x"):
                            name, _ = self.refusal(method.upper(), f"{path}?limit={value}")
                            self.assertEqual(name, "limit")

    def check(self, scope, method, path, methods):
        answer = self.ask(scope, method, path)
        if method not in methods:
            self.assertEqual(answer.status, 405)
            self.assertEqual(set(answer.headers["allow"].split(", ")), set(methods))
            return
        CONTRACT.check(method, path, answer)
        needed = methods[method]["x-scope"]
        if SCOPES.index(scope) >= SCOPES.index(needed):
            self.assertNotIn(answer.status, (401, 403, 405, 500))
        else:
            self.assertEqual(answer.status, 401 if scope == "none" else 403)


if __name__ == "__main__":
    unittest.main()
