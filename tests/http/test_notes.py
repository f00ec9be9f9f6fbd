"""Notes: what people write about runs and sweeps, and how runs are found by it."""

import unittest

from daemon_process import TINY, DaemonTestCase

MOST = 16 * 1024


class Notes(DaemonTestCase):
    def put(self, path, text, *options, status=None):
        data = text if isinstance(text, bytes) else text.encode()
        response = self.daemon.curl(path, "-X", "PUT", "-H", "Content-Type: text/markdown",
                                    *options, data=data)
        if status:
            self.assertEqual(response.status, status, response.body)
        return response

    def delete(self, path, *options):
        return self.daemon.curl(path, "-X", "DELETE", *options)

    def sweep(self):
        response = self.daemon.curl("/api/v1/sweeps", data={
            "base": dict(TINY, epochs=1, hold=True), "grid": {"seed": [1, 2]}})
        self.assertEqual(response.status, 201, response.body)
        return response.json()

    def test_note_of_a_run_and_of_a_sweep(self):
        run = self.daemon.submit(epochs=1, hold=True)
        for subject in (f"/api/v1/runs/{run}", f"/api/v1/sweeps/{self.sweep()['id']}"):
            note = subject + "/note"
            self.assertEqual(self.daemon.curl(note).status, 404)
            self.assertFalse(self.daemon.get(subject)["has_note"])
            first = self.put(note, "# Zebra\n\n\tünïcode & <b>\r\n", status=201)
            self.assertEqual(first.headers["location"], note)
            answer = self.daemon.curl(note)
            self.assertEqual((answer.status, answer.body, answer.type),
                             (200, "# Zebra\n\n\tünïcode & <b>\r\n", "text/markdown; charset=utf-8"))
            self.assertRegex(answer.headers["etag"], '^"[0-9a-f]{64}"$')
            self.assertEqual(answer.headers["etag"], first.headers["etag"])
            self.assertTrue(self.daemon.get(subject)["has_note"])
            self.assertEqual(self.daemon.curl(
                note, "-H", "If-None-Match: " + answer.headers["etag"]).status, 304)
            self.put(note, "second", status=204)
            self.assertEqual(self.daemon.curl(note).body, "second")
            self.assertEqual(self.delete(note).status, 204)
            self.assertEqual(self.delete(note).status, 404)
            self.assertEqual(self.daemon.curl(note).status, 404)
            self.assertFalse(self.daemon.get(subject)["has_note"])

    def test_changes_that_compare_nothing_refuse_if_match(self):
        run = self.daemon.submit(hold=True)
        tag = self.daemon.curl(f"/api/v1/runs/{run}").headers["etag"]
        path = f"/api/v1/runs/{run}"
        for words in (("-X", "PATCH", "-d", '{"priority":3}', path), ("-X", "DELETE", path), ("-X", "POST", path + "/cancel")):
            problem = self.assert_problem(self.daemon.curl(words[-1], *words[:-1], "-H", "If-Match: " + tag), 400)
            self.assertIn("nothing was changed", problem["detail"])
        self.assertEqual((self.daemon.get(path)["priority"], self.daemon.get(path)["state"]), (0, "held"))
        self.assertEqual(self.daemon.curl(path, "-X", "PATCH", "-d", '{"priority":3}', "-H", "If-Match: *").status, 200)

    def test_if_match_keeps_what_another_has_written(self):
        note = f"/api/v1/runs/{self.daemon.submit(epochs=1, hold=True)}/note"
        self.put(note, "x", "-H", "If-Match: *", status=412)
        tag = self.put(note, "one", status=201).headers["etag"]
        newer = self.put(note, "two", "-H", f'If-Match: "a", {tag}', status=204).headers["etag"]
        for old in (tag, '"a"', "W/" + newer, "x" * 300):
            self.put(note, "three", "-H", "If-Match: " + old, status=412)
            self.assertEqual(self.delete(note, "-H", "If-Match: " + old).status, 412)
        self.assertEqual(self.daemon.curl(note).body, "two")
        self.put(note, "three", "-H", "If-Match: *", status=204)
        self.assertEqual(self.delete(note, "-H", "If-Match: " + newer).status, 412)
        tag = self.daemon.curl(note).headers["etag"]
        self.assertEqual(self.delete(note, "-H", "If-Match: " + tag).status, 204)

    def test_what_is_no_note_is_refused(self):
        note = f"/api/v1/runs/{self.daemon.submit(epochs=1, hold=True)}/note"
        self.put(note, "ä" * (MOST // 2), status=201)
        self.put(note, "a" * (MOST + 1), status=413)
        for text in (b"", b"a\0b", b"\xff", b"\xc3", b"\xed\xa0\x80", b"a\x1b[2J", "\x85".encode()):
            self.put(note, text, status=422)
        self.assertEqual(self.daemon.curl(note).body, "ä" * (MOST // 2))
        self.put("/api/v1/runs/999/note", "x", status=404)
        self.put("/api/v1/sweeps/999/note", "x", status=404)

    def test_note_goes_with_its_run_and_sweep(self):
        run = self.daemon.submit(epochs=1, hold=True, name="gone")
        self.put(f"/api/v1/runs/{run}/note", "quagga", status=201)
        self.assertEqual(self.delete(f"/api/v1/runs/{run}").status, 204)
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{run}/note").status, 404)
        sweep = self.sweep()
        self.put(f"/api/v1/sweeps/{sweep['id']}/note", "quagga", status=201)
        self.put(f"/api/v1/runs/{sweep['runs'][0]}/note", "quagga", status=201)
        self.assertEqual(self.delete(f"/api/v1/sweeps/{sweep['id']}").status, 204)
        self.assertEqual(self.daemon.get("/api/v1/runs?text=quagga")["items"], [])

    def found(self, *texts, query=""):
        path = "/api/v1/runs?sort=id" + query
        arguments = [part for text in texts for part in ("--data-urlencode", "text=" + text)]
        response = self.daemon.curl(path, "-G", *arguments)
        self.assertEqual(response.status, 200, response.body)
        return [run["name"] for run in response.json()["items"]]

    def test_runs_are_found_by_name_note_and_labels(self):
        submit = lambda name, **fields: self.daemon.submit(epochs=1, hold=True, name=name, **fields)
        by_name = submit("Okapi one")
        submit("two", labels={"animal": "OKAPI", "x": "100%_\\"})
        third = submit("three")
        self.put(f"/api/v1/runs/{third}/note", "saw an oKaPi, today\n" + "é" * 5000, status=201)
        submit("four")
        self.assertEqual(self.found("okapi"), ["Okapi one", "two", "three"])
        self.assertEqual(self.found("OKAPI", "one"), ["Okapi one"])
        self.assertEqual(self.found("animal:okapi"), ["two"])
        self.assertEqual(self.found("okapi, t"), ["three"])
        self.assertEqual(self.found("100%_\\"), ["two"])
        self.assertEqual(self.found("%kapi"), [])
        self.assertEqual(self.found("okapi", query="&state=held&label=animal:OKAPI"), ["two"])
        self.assertEqual(self.found("okapi", query="&state=running"), [])
        self.assertEqual(self.found("okapi", query="&name=three"), ["three"])
        # In every order, and page by page.
        for sort in ("name", "-updated", "best", "created", "-finished"):
            path = f"/api/v1/runs?text=okapi&limit=1&sort={sort}"
            names, cursor = [], ""
            while cursor is not None:
                page = self.daemon.get(path + (cursor and "&cursor=" + cursor))
                names += [run["name"] for run in page["items"]]
                cursor = page["next_cursor"]
            self.assertEqual(sorted(names), ["Okapi one", "three", "two"], sort)
        self.assertEqual(self.daemon.curl("/api/v1/runs?text=").status, 400)
        self.assertEqual(self.daemon.curl("/api/v1/runs?text=" + "a" * 201).status, 400)
        self.assertEqual([run["has_note"] for run in self.daemon.get(
            "/api/v1/runs?text=okapi&sort=id&fields=has_note")["items"]], [False, False, True])
        self.assertTrue(by_name)


if __name__ == "__main__":
    unittest.main()
