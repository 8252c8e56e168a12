"""Take ports as busy applications do: open connections on the loopback until no port is left.

Reads {"ports": [...]}, says {"taken": [...], "blocked": [...]}: the local ports of the connections, and which ports
no program could listen at meanwhile, although it asked as HAProxy does. It ends with its connections, and leaves
none behind.
"""

import json
import socket
import struct

NONE_LEFT = struct.pack("ii", 1, 0)  # closed at once: no port waits for stragglers

server = socket.create_server(("127.0.0.1", 65500), backlog=1024)  # outside of the range that is tried
connections = []
for _ in range(1000):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NONE_LEFT)
    try:
        connection.connect(server.getsockname())
    except OSError:  # no port is left
        connection.close()
        break
    connections.append(connection)

blocked = []
for port in json.loads(input())["ports"]:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        blocked.append(port)
    listener.close()
print(json.dumps({"taken": sorted(connection.getsockname()[1] for connection in connections), "blocked": blocked}))
for connection in connections:
    connection.close()
