"""cutoutd check-config: what is in force, and all that is wrong; also for the daemon that the unit would start."""

import grp
import os
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, make_certificate
from test_access import make_token

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class CheckConfig(unittest.TestCase):
    prefix = ()  # of the program

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-http-", dir="/var/lib" if os.geteuid() == 0 else None)
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        os.chmod(self.directory, 0o755)
        self.units = os.path.join(self.directory, "units")
        os.makedirs(os.path.join(self.units, "cutoutd.service.d"))
        with open(os.path.join(SOURCE, "systemd", "cutoutd.service"), encoding="ascii") as file:
            self.write("units/cutoutd.service", file.read())

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def drop_in(self, text):
        self.write("units/cutoutd.service.d/10.conf", "[Service]\n" + text)

    def check(self, *flags, config=""):
        """Exit status, what is in force (without runs of blanks), what is wrong."""
        path = self.write("cutoutd.conf", config)
        result = subprocess.run([*self.prefix, os.environ["CUTOUTD"], "check-config", *flags, "--config", path],
                                capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                                env=dict(os.environ, SYSTEMD_UNIT_PATH=self.units))
        return result.returncode, " ".join(result.stdout.split()), result.stderr

    def test_every_problem_comes_at_once_with_its_place(self):
        status, _, wrong = self.check(config="memory_limit = 800%\nstate_dir = state\nworkers = 0\nunknown = 1\n"
                                             "[datasets]\ncifar10 = /nonexistent\n")
        self.assertEqual(status, 2)
        for line in ("cutoutd.conf:1: memory_limit", "cutoutd.conf:2: state_dir", "cutoutd.conf:3: workers",
                     "cutoutd.conf:4: unknown setting", "cutoutd.conf:6: cannot open the directory /nonexistent"):
            self.assertIn(line, wrong)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become the service's user")
    def test_a_share_of_memory_is_of_what_the_unit_may_have(self):
        self.drop_in("MemoryMax=64M\nMemoryHigh=48M\n")
        status, stands, wrong = self.check("--as-service", config="memory_limit = 50%")
        self.assertEqual((status, wrong), (0, ""))
        self.assertIn(f"there is 0.0 GiB (MemoryHigh of {self.units}/cutoutd.service.d/10.conf:3)", stands)
        self.assertIn("MORE THAN THERE IS", self.check("--as-service", config="memory_limit = 1G")[1])
        self.assertNotIn("MORE THAN THERE IS", self.check(config="memory_limit = 64M")[1])

    def test_without_the_unit_nothing_is_known_of_it(self):
        os.unlink(os.path.join(self.units, "cutoutd.service"))
        status, _, wrong = self.check("--as-service")
        self.assertEqual(status, 1)
        self.assertIn("there is no unit cutoutd.service", wrong)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become the service's user")
    def test_the_unit_says_what_the_service_would_have(self):
        token, line = make_token("anna", "submit")
        self.assertTrue(token)
        tokens = self.write("tokens", line + "\n", 0o600)
        self.write("service.env", "# a comment\nCUTOUTD_WORKERS='2'\nOTHER=1\n")
        self.drop_in(f"LoadCredential=tokens:{tokens}\nEnvironment=CUTOUTD_KEEP_EVENTS_DAYS=9 \"CUTOUTD_LOG_LEVEL=debug\"\n"
                     f"EnvironmentFile=-{self.directory}/service.env\nExecStart=\n"
                     "ExecStart=/usr/bin/cutoutd serve --listen 0.0.0.0:8080 \\\n   --isa ref\n")
        status, stands, wrong = self.check("--as-service")
        self.assertEqual((status, wrong), (0, ""))
        for words in (f"tokens_file = {tokens} # {self.units}/cutoutd.service.d/10.conf:2: credential tokens",
                      "state_dir = /var/lib/cutoutd # STATE_DIRECTORY", "workers = 2 # CUTOUTD_WORKERS",
                      "keep_events_days = 9", "log_level = debug", "listen = 0.0.0.0:8080 # --listen", "isa = ref"):
            self.assertIn(words, stands)
        # Without --as-service nobody knows of the credential.
        self.assertIn("tokens_file = # default", self.check()[1])
        os.unlink(tokens)
        status, _, wrong = self.check("--as-service")
        self.assertEqual(status, 1)
        self.assertIn(f"10.conf:2: credential tokens: cannot look at the tokens file {tokens}", wrong)
        self.drop_in("ExecStart=\nExecStart=/usr/bin/cutoutd serve --listen 0.0.0.0:8080\n")
        self.assertIn("there are no access tokens", self.check("--as-service")[2])

    @unittest.skipUnless(os.geteuid() == 0, "only root can become the service's user")
    def test_what_the_services_user_may_not_use_is_named(self):
        cert, key = (os.path.join(self.directory, name) for name in ("cert.pem", "key.pem"))
        make_certificate(cert, key)
        images = os.path.join(self.directory, "images")
        os.mkdir(images, 0o700)
        for name in ("data_batch_1.bin", "test_batch.bin"):
            self.write("images/" + name, "")
        config = (f"tls_cert = {cert}\ntls_key = {key}\nstate_dir = /srv/state\nunix_socket = /srv/socket\n"
                  f"[datasets]\nlab = {images}\nmine = /tmp/images\n")
        self.assertNotIn(images, self.check(config=config)[2])  # root may
        status, _, wrong = self.check("--as-service", config=config)
        self.assertEqual(status, 1)
        for words in (f"cutoutd.conf:2: cannot read {key}: Permission denied",
                      f"cutoutd.conf:6: cannot open the directory {images}: Permission denied",
                      "cutoutd.conf:7: the service does not see /tmp/images (PrivateTmp= of the unit)",
                      "cutoutd.conf:3: the service may not write to /srv/state (ProtectSystem=strict",
                      "cutoutd.conf:4: the service may not write to /srv/socket"):
            self.assertIn(words, wrong)
        self.drop_in(f"LoadCredential=key.pem:{key}\nSupplementaryGroups=daemon\n")
        os.chown(images, 0, 1)  # Debian's group daemon
        os.chmod(images, 0o750)
        config = (f"tls_cert = {cert}\ntls_key = /run/credentials/cutoutd.service/key.pem\n"
                  f"[datasets]\nlab = {images}\n")
        self.assertEqual(self.check("--as-service", config=config)[::2], (0, ""))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become the service's user")
    def test_a_user_that_exists_has_its_groups_and_that_of_the_unit(self):
        images = os.path.join(self.directory, "images")
        os.mkdir(images)
        for name in ("data_batch_1.bin", "test_batch.bin"):
            self.write("images/" + name, "")
        config = f"[datasets]\nlab = {images}\n"
        of_group = {name: grp.getgrnam(name).gr_gid for name in ("bin", "daemon", "games", "mail")}
        self.drop_in("DynamicUser=no\nUser=nobody\nGroup=bin\n"
                     f"SupplementaryGroups=daemon\nSupplementaryGroups={of_group['games']}\n")
        for name in ("bin", "daemon", "games"):
            os.chown(images, 0, of_group[name])
            os.chmod(images, 0o750)
            self.assertEqual(self.check("--as-service", config=config)[::2], (0, ""), name)
        os.chown(images, 0, of_group["mail"])
        self.assertIn(f"cannot open the directory {images}: Permission denied", self.check("--as-service", config=config)[2])
        self.drop_in("DynamicUser=no\nUser=nobody\nGroup=nowhere\n")
        self.assertIn("10.conf:4: Group=nowhere: there is no such group", self.check("--as-service", config=config)[2])
        # What /etc/group says of the user, whose group is the one that it has there.
        groups = self.write("group", f"nogroup:x:{grp.getgrnam('nogroup').gr_gid}:\nmail:x:{of_group['mail']}:www-data,nobody\n")
        if subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
            self.skipTest("no mount namespaces here")
        self.drop_in("DynamicUser=no\nUser=nobody\n")
        self.prefix = ["unshare", "-m", "sh", "-c", f'mount --bind {groups} /etc/group && exec "$@"', "sh"]
        self.assertEqual(self.check("--as-service", config=config)[::2], (0, ""))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become the service's user")
    def test_settings_that_the_services_user_may_not_read_are_named(self):
        directory = os.path.join(self.directory, "conf.d")
        os.mkdir(directory)
        path = self.write("conf.d/lab.conf", "workers = 2\n", 0o600)  # as root's umask 077 makes it
        status, stands, wrong = self.check("--as-service")
        self.assertEqual(status, 1)
        self.assertIn("workers = 2", stands)
        self.assertIn(f"cannot open {path}: Permission denied; the daemon's user must be able to read it: chmod a+r {path}, and a+x the directories above it\n",
                      wrong)
        os.chmod(path, 0o644)
        os.chmod(directory, 0o700)
        self.assertIn(f"(chmod a+rx): cannot read the directory {directory}: Permission denied",
                      self.check("--as-service")[2])
        os.chmod(directory, 0o755)
        self.assertEqual(self.check("--as-service")[::2], (0, ""))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become the service's user")
    def test_what_is_roots_in_the_state_directory_is_named(self):
        state = os.path.join(self.directory, "private", "state")
        os.makedirs(state, 0o750)
        os.chmod(os.path.dirname(state), 0o700)  # as systemd's /var/lib/private: only root comes there
        self.drop_in(f"StateDirectory=\nStateDirectory={os.path.basename(self.directory)}/private/state\n")
        tokens = self.write("private/state/users", make_token("anna", "submit")[1] + "\n", 0o640)
        cert, key = (os.path.join(state, name) for name in ("cert.pem", "key.pem"))
        make_certificate(cert, key)
        config = f"tokens_file = {tokens}\ntls_cert = {cert}\ntls_key = {key}\n"
        # systemd gives all of a directory to its user that is not the user's yet.
        self.assertEqual(self.check("--as-service", config=config)[::2], (0, ""))
        user = 61200  # of those that systemd makes
        os.chown(state, user, user)
        status, _, wrong = self.check("--as-service", config=config)
        self.assertEqual(status, 1)
        self.assertIn(f"cutoutd.conf:1: the service's user may not read {tokens}; give it away with: chown "
                      f"--reference={state}/ {tokens}\n", wrong)
        self.assertIn(f"may not read {key};", wrong)
        for path in (tokens, cert, key):
            subprocess.run(["chown", f"--reference={state}/", path], check=True)
        self.assertEqual(self.check("--as-service", config=config)[::2], (0, ""))

    def test_the_cluster_is_tried_by_whoever_would_give_it_jobs(self):
        config = f"executors = slurm\n[slurm]\nshared_dir = {self.directory}\nbin_dir = {self.directory}\n"
        status, stands, wrong = self.check(config=config)
        self.assertEqual(status, 1)
        self.assertIn("# slurm: failed", stands)
        self.assertIn("there is no sbatch in", wrong)
        if os.geteuid() == 0:
            _, stands, wrong = self.check("--as-service", config=config)
            self.assertIn("# slurm: the cluster was not tried: cutoutd check-config as the daemon's user does that", stands)
            self.assertNotIn("sbatch", wrong)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become others")
    def test_only_root_knows_what_others_may_use(self):
        path = self.write("cutoutd.conf", "")
        result = subprocess.run(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", os.environ["CUTOUTD"],
                                 "check-config", "--as-service", "--config", path], capture_output=True, text=True,
                                timeout=PATIENCE_S, check=False, env=dict(os.environ, SYSTEMD_UNIT_PATH=self.units))
        self.assertEqual(result.returncode, 1)
        self.assertIn("only root", result.stderr)


if __name__ == "__main__":
    unittest.main()
