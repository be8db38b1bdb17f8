"""A receiver of webhooks for tests: receiver.py PORT FILE. Writes each request as a line of JSON to FILE, then
answers as the file FILE.mode says: ok, a status, lost (no answer: the connection ends), slow (nothing, for as long
as the mode stays), redirect."""
import http.server
import json
import sys
import threading
import time

port, path = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()


def mode():
    with open(path + ".mode", encoding="utf-8") as f:
        return f.read().strip()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        how = mode()
        with lock, open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps({"path": self.path, "mode": how, "id": self.headers["webhook-id"],
                                "timestamp": self.headers["webhook-timestamp"],
                                "signature": self.headers["webhook-signature"], "body": body}) + "\n")
        if how == "lost":
            self.close_connection = True
            return
        while how == "slow":
            time.sleep(0.02)
            how = mode()
        status = 302 if how == "redirect" else 204 if how in ("ok", "slow", "lost") else int(how)
        self.send_response(status)
        if how == "redirect":
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", port), Receiver)
print("listening on", server.server_address[1], flush=True)
server.serve_forever()
