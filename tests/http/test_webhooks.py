"""Webhooks, told to a real receiver that fails, hangs and comes back, over restarts of the daemon."""

import hashlib
import hmac
import http.server
import json
import threading
import time

from daemon_process import PATIENCE_S, TINY, wait_for
from test_owners import API, Lab


class Receiver:
    """Listens on 127.0.0.1; `behave` says what it does with a request: a status, or "hang"."""

    def __init__(self):
        receiver = self
        self.got, self.behave, self.released = [], 200, threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                behave = receiver.behave
                receiver.got.append((dict(self.headers), body, behave))
                if behave == "hang":
                    receiver.released.wait(PATIENCE_S)
                    return
                self.send_response(behave)
                if behave // 100 == 3:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host="127.0.0.1"):
        return f"http://{host}:{self.port}/hook"

    def delivered(self):
        return [(headers, body) for headers, body, behave in self.got if behave == 200]

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


class Webhooks(Lab):
    ALLOW = "webhook_addresses = 127.0.0.1\n"

    def setUp(self):
        self.daemon = self.fresh()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.restart(self.ALLOW)

    def restart(self, config):
        self.configure(config)
        self.daemon.kill()
        self.daemon.start()

    def hook(self, events=("run_ended",), status=201, **more):
        return self.ask("root", "/webhooks", status=status, data=dict(
            {"name": "lab", "url": self.receiver.url(), "events": list(events)}, **more))

    def deliveries(self, hook):
        return self.ask("root", f"/webhooks/{hook['id']}/deliveries")["items"]

    def test_a_signed_delivery_tells_what_happened(self):
        hook = self.hook()
        run = self.submit("anna", name='a "b"')["id"]
        wait_for(lambda: self.receiver.delivered())
        headers, body = self.receiver.delivered()[0]
        told = json.loads(body)
        self.assertEqual((told["event"], told["facts"]["run"], told["facts"]["state"], told["facts"]["name"]),
                         ("run_ended", run, "succeeded", 'a "b"'))
        self.assertEqual((headers["X-Cutoutd-Event"], headers["X-Cutoutd-Delivery"]), ("run_ended", told["delivery"]))
        stamp, mac = (part.split("=")[1] for part in headers["X-Cutoutd-Signature"].split(","))
        self.assertLess(abs(time.time() - int(stamp)), 60)
        wanted = hmac.new(hook["secret"].encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        self.assertEqual(mac, wanted)
        wait_for(lambda: self.deliveries(hook)[0]["state"] == "delivered")

    def test_one_that_fails_is_tried_again_also_by_the_next_daemon(self):
        hook = self.hook()
        self.receiver.behave = 500
        self.submit("anna")
        wait_for(lambda: self.receiver.got)
        wait_for(lambda: self.deliveries(hook)[0]["attempts"] == 1)
        row = self.deliveries(hook)[0]
        self.assertEqual((row["state"], row["http_status"], row["error"]), ("pending", 500, "it answered 500"))
        self.daemon.kill()
        self.receiver.behave = 200
        self.daemon.start()
        wait_for(lambda: self.receiver.delivered())
        wait_for(lambda: self.deliveries(hook)[0]["state"] == "delivered")
        self.assertEqual(self.deliveries(hook)[0]["attempts"], 2)
        self.assertEqual(len({headers["X-Cutoutd-Delivery"] for headers, _, _ in self.receiver.got}), 1)

    def test_one_that_hangs_does_not_keep_the_daemon_from_stopping(self):
        self.hook()
        self.receiver.behave = "hang"
        self.submit("anna")
        wait_for(lambda: self.receiver.got)
        self.receiver.behave = 200
        self.assertEqual(self.daemon.terminate(), 0)
        self.daemon.start()
        wait_for(lambda: self.receiver.delivered())

    def test_private_addresses_are_refused_unless_the_config_names_them(self):
        self.restart("")
        for host in ("127.0.0.1", "localhost"):
            hook = self.hook(name="to-" + host.replace(".", "-"), url=self.receiver.url(host))
            self.ask("root", f"/webhooks/{hook['id']}/test", "-X", "POST", status=202)
            wait_for(lambda: self.deliveries(hook)[0]["attempts"] == 1)
            self.assertIn("is loopback or private", self.deliveries(hook)[0]["error"])
        self.assertEqual(self.receiver.got, [])

    def test_redirects_are_not_followed(self):
        hook = self.hook()
        self.receiver.behave = 302
        self.ask("root", f"/webhooks/{hook['id']}/test", "-X", "POST", status=202)
        wait_for(lambda: self.deliveries(hook)[0]["attempts"] == 1)
        self.assertEqual(len(self.receiver.got), 1)
        self.assertIn("302", self.deliveries(hook)[0]["error"])

    def test_chats_take_their_templates(self):
        for template in ("slack", "mattermost", "ntfy"):
            self.hook(name=template, template=template)
        self.submit("anna", name="<b>")
        wait_for(lambda: len(self.receiver.delivered()) == 3)
        slack, mattermost, ntfy = sorted(self.receiver.delivered(), key=lambda got: int(got[0]["X-Cutoutd-Delivery"]))
        self.assertIn("&lt;b&gt;", json.loads(slack[1])["text"])
        self.assertIn("'<b>' of anna succeeded", json.loads(mattermost[1])["text"])
        self.assertIn("succeeded after 1 of 1 epochs", ntfy[1].decode())
        self.assertRegex(ntfy[0]["Title"], r"^run \d+ succeeded$")

    def test_a_sweep_a_target_and_what_names_a_webhook(self):
        self.hook(events=["sweep_ended", "target_reached"], target=0.999)
        self.hook(events=[], name="quiet")
        base = {k: v for k, v in dict(TINY, epochs=1, notify=["quiet"]).items() if k != "seed"}
        sweep = self.ask("anna", "/sweeps", status=201, data={"base": base, "grid": {"seed": [1, 2]}})["id"]
        wait_for(lambda: len(self.receiver.delivered()) >= 4)
        told = [json.loads(body) for _, body in self.receiver.delivered()]
        kinds = sorted(t["event"] for t in told)
        # lab hears of the targets and the sweep, quiet of the sweep that names it.
        self.assertEqual(kinds, ["sweep_ended", "sweep_ended", "target_reached", "target_reached"])
        alone = self.submit("anna", notify=["quiet"])
        self.assertEqual(alone["notify"], ["quiet"])
        wait_for(lambda: len(self.receiver.delivered()) >= 6)
        last = sorted(json.loads(body)["event"] for _, body in self.receiver.delivered()[4:])
        self.assertEqual(last, ["run_ended", "target_reached"])
        ended = next(t for t in told if t["event"] == "sweep_ended")["facts"]
        self.assertEqual((ended["sweep"], ended["runs"], ended["succeeded"]), (sweep, 2, 2))
        self.submit("anna", notify=["nobody"], status=422)

    def test_the_end_of_a_sweep_by_halving_whose_losers_stay_paused(self):
        hook = self.hook(events=["sweep_ended"], template="ntfy")
        base = {k: v for k, v in dict(TINY, epochs=2).items() if k != "seed"}
        sweep = self.ask("anna", "/sweeps", status=201, data={
            "base": base, "grid": {"seed": [1, 2, 3]}, "halving": {"first_epochs": 1}})
        wait_for(lambda: self.receiver.delivered())
        (_, body), = self.receiver.delivered()
        self.assertIn("of 3 runs 1 succeeded, 0 failed, 0 were canceled, 2 stay paused, ranked out", body.decode())
        # Whoever deletes it all is told nothing more.
        self.ask("anna", f"/sweeps/{sweep['id']}", "-X", "DELETE", status=204)
        self.assertEqual(len(self.deliveries(hook)), 1)

    def test_a_disk_that_is_nearly_full_is_told_once(self):
        hook = self.hook(events=["disk_low"])
        self.restart(self.ALLOW + "disk_low = 8000T\n")
        wait_for(lambda: self.receiver.delivered())
        self.assertIn("GiB left", json.loads(self.receiver.delivered()[0][1])["text"])
        wait_for(lambda: self.deliveries(hook)[0]["state"] == "delivered")
        self.assertEqual(len(self.deliveries(hook)), 1)

    def test_who_may_see_what(self):
        hook = self.hook()
        self.assertIn("secret", hook)
        listed = self.ask("rita", "/webhooks")["items"][0]
        self.assertNotIn("secret", listed)
        self.assertIsNone(listed["url"])
        self.hook(status=409)
        self.hook(name="x", url="ftp://example.org", status=422)
        self.hook(name="x", events=["all"], status=422)
        self.hook(name="x", events=["target_reached"], status=422)
        self.ask("anna", "/webhooks", status=403, data={"name": "y", "url": "https://example.org", "events": []})
        self.ask("anna", f"/webhooks/{hook['id']}/deliveries", status=403)
        self.ask("root", f"/webhooks/{hook['id']}", "-X", "DELETE", status=204)
        self.ask("root", f"/webhooks/{hook['id']}", "-X", "DELETE", status=404)
