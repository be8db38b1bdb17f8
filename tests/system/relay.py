"""A relay between two Unix sockets for tests: relay.py LISTEN TARGET. What comes in one way goes out the other. A test that
stops it (SIGSTOP) cuts off whoever goes through it, and nobody else: what they say waits, and nothing is refused."""
import os
import socket
import sys
import threading

listen, target = sys.argv[1], sys.argv[2]


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(target)
    except OSError:
        client.close()
        return
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


face = socket.socket(socket.AF_UNIX)
face.bind(listen)
os.chmod(listen, 0o777)
face.listen(64)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=(face.accept()[0],), daemon=True).start()
