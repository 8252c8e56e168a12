"""Run on a consumer: stop a module of ours at one point of its way. Python imports this file first.

A point is a side effect together with the lines of module_utils/hamesh that led to it, such as
"execute:171 > _swap:200 > write_atomically:39 os.rename", or "... > run:23 start systemctl reload".
Each is noted in the file `points`, in order. Where the file `stop_at` names one, the process kills itself
right before that effect; with a number of seconds in its second line, it sleeps so long instead and goes on.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
EFFECTS = {
    *("os.chmod", "os.chown", "os.fsync", "os.kill", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir"),
    *("os.setxattr", "os.symlink", "os.truncate", "os.utime", "fcntl.flock", "socket.bind", "socket.connect"),
}
PROGRAMS = {"subprocess.Popen": "start", "subprocess.Popen.communicate": "wait for"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

stop_at, _, seconds = (HERE / "stop_at").read_text().partition("\n")
points = (HERE / "points").open("w", buffering=1)


def look(event, arguments):
    global stop_at
    if event in PROGRAMS:
        effect = f"{PROGRAMS[event]} {' '.join(arguments[1][:2])}"
    elif event in EFFECTS or (event == "open" and arguments[2] & WRITES and arguments[0] != os.devnull):
        effect = event
    else:
        return
    frame, lines = sys._getframe(1), []
    while frame:
        if "/hamesh/" in frame.f_code.co_filename:
            lines.insert(0, f"{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    if not lines:
        return
    point = f"{' > '.join(lines)} {effect}"
    points.write(f"{point}\n")
    if point == stop_at:
        stop_at = ""
        if not seconds:
            signal.raise_signal(signal.SIGKILL)
        time.sleep(float(seconds))


# Python tells of most effects before they take place; these it does not.
fsync, communicate = os.fsync, subprocess.Popen.communicate


def told_fsync(descriptor):
    sys.audit("os.fsync", descriptor)
    fsync(descriptor)


def told_communicate(self, *arguments, **options):
    sys.audit("subprocess.Popen.communicate", None, self.args)
    return communicate(self, *arguments, **options)


os.fsync = told_fsync
subprocess.Popen.communicate = told_communicate
sys.addaudithook(look)
