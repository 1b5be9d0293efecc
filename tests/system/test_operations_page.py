"""docs/operations.md on a fresh Debian: its commands are run as they stand on the page, as root.

A container-less machine has no fresh Debian, so the page gets a mount and a network of its own (unshare(1)):
/etc, /var/lib and /var/log are empty layers over the machine's, and every port is free. What stays different is
named in `AS_ROOT`: packages are installed already, and no systemd runs, so the lines of Debian's unit file stand
in for `systemctl`. InfluxDB is Debian's 1.x, and no NTP keeps the clock.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.demo.servers import maybe_program
from tests.system.chain import BIN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PARK = ROOT / "simulators" / "parks" / "demo" / "park.yaml"

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own needs root"),
    pytest.mark.skipif(maybe_program("mosquitto") is None, reason="mosquitto is not installed"),
    pytest.mark.skipif(maybe_program("influxd") is None, reason="influxd is not installed"),
]

AS_ROOT = """
set -euo pipefail
mount -t tmpfs tmpfs {folder}/layers
for name in etc var/lib var/log; do
  layer={folder}/layers/$(echo $name | tr / -)
  mkdir -p $layer/upper $layer/work
  mount -t overlay overlay -o lowerdir=/$name,upperdir=$layer/upper,workdir=$layer/work /$name
done
mount -t tmpfs tmpfs /run
ip link set lo up

apt-get() {{ command -v mosquitto openssl > {folder}/installed; }}
systemctl() {{
  case $1 in
    restart)
      mkdir -m 740 -p /var/log/mosquitto /run/mosquitto
      chown mosquitto /var/log/mosquitto /run/mosquitto
      mosquitto -c /etc/mosquitto/mosquitto.conf &
      for _ in $(seq 100); do [ -s /run/mosquitto/mosquitto.pid ] && break; sleep 0.1; done ;;
    reload) kill -HUP "$(cat /run/mosquitto/mosquitto.pid)"; sleep 1 ;;
  esac
}}
wait_until() {{
  for _ in $(seq 300); do if eval "$2" > /dev/null 2>&1; then return; fi; sleep 0.1; done
  echo "not within 30 s: $1"; cat /var/log/mosquitto/mosquitto.log; exit 1
}}
umask 022
mkdir -p /etc/zonewise/parks
cp {park} /etc/zonewise/parks/demo.yaml
"""

INFLUXD = """
cat > {folder}/influxd.conf <<'END'
reporting-disabled = true
bind-address = "127.0.0.1:8088"
[meta]
dir = "{folder}/influx/meta"
[data]
dir = "{folder}/influx/data"
wal-dir = "{folder}/influx/wal"
END
influxd -config {folder}/influxd.conf > {folder}/influxd.log 2>&1 &
wait_until "InfluxDB answers" "curl --fail http://127.0.0.1:8086/ping"
"""

CHECKS = """
wait_until "ingest is well" "curl --fail http://127.0.0.1:9102/healthz"
ps -o user= -C mosquitto | sort -u
stat -c '%a %U:%G %n' secrets secrets/*

# A gateway that is added gets its user after a reload, which Mosquitto does as its own user.
sed -i 's/^meters:/meters:\\n  added: {{medium: water, place: z1, gateway: gw-9}}/' parks/demo.yaml
{again}
systemctl reload mosquitto
python3 - <<'END'
import ssl
from pathlib import Path
import paho.mqtt.client as paho

def answer(user, password):
    told = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(user, password)
    client.tls_set("/etc/zonewise/ca.pem")
    client.on_connect = lambda _c, _u, _f, code, _p: (told.append(str(code)), client.disconnect())
    client.connect("localhost", 8883)
    client.loop_forever(retry_first_connection=False)
    return told[0]

print("new gateway:", answer("demo.gw-9", Path("secrets/mqtt-demo.gw-9").read_text()))
END
openssl verify -x509_strict -CAfile ca.pem broker.pem
"""


def blocks(step: int) -> list[str]:
    """Return the blocks of a step, without their indentation."""
    (text,) = re.findall(rf"^{step}\. (.*?)(?=^\d+\. |^## )", PAGE, re.DOTALL | re.MULTILINE)
    found = re.findall(r"^   ```(?:yaml)?\n(.*?)^   ```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in found]


def script(folder: Path) -> str:
    """Return the page as one script of the shell."""
    (secrets,) = blocks(2)
    (ingest_yaml,) = blocks(4)
    (init,), (services,) = blocks(6), blocks(7)
    (store_1,) = re.findall(r"second line is `(store: .*)`", PAGE)
    ingest_yaml = re.sub(r"^store: .*$", store_1, ingest_yaml, flags=re.MULTILINE)
    ingest_yaml = ingest_yaml.replace("clock: ntp", "clock: trusted")
    # The page says so: with InfluxDB 1.x both options are left out.
    init = re.sub(r" --admin-token-file .*", "", init)
    run = "\n".join(f"{line} &" if "zonewise-" in line else line for line in services.splitlines())
    parts = [
        AS_ROOT.format(folder=folder, park=PARK),
        secrets,
        *blocks(3),
        f"cat > /etc/zonewise/ingest.yaml <<'END'\n{ingest_yaml}END\n",
        INFLUXD.format(folder=folder),
        init,
        run.replace("--park ID", "--park demo"),
        CHECKS.format(again=secrets.splitlines()[-1]),
    ]
    return "\n".join(parts)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "layers").mkdir()
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], check=False, capture_output=True)
    if tried.returncode or shutil.which("ip") is None:
        pytest.skip("this machine gives no mounts and no network of one's own")
    return tmp_path


def test_the_page_sets_up_a_server_on_a_fresh_debian(folder: Path) -> None:
    (folder / "page.sh").write_text(script(folder), encoding="utf-8")
    # All processes of a process namespace end with its first one.
    own = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*own, "bash", str(folder / "page.sh")],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "\nmosquitto\n" in done.stdout, "Mosquitto has dropped root"
    assert "710 root:mosquitto secrets\n" in done.stdout
    assert "640 root:mosquitto secrets/mosquitto-passwords\n" in done.stdout
    assert "600 root:root secrets/mqtt-ingest\n" in done.stdout
    assert "new gateway: Success" in done.stdout
    assert "broker.pem: OK" in done.stdout
    assert not Path("/etc/zonewise").exists()
