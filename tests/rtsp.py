"""A camera that speaks RTSP (RFC 2326), its pictures interleaved in the same connection as RTP (RFC 6416)."""

import struct
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Self

import av
import numpy as np

RATE, CLOCK = 10, 90_000
SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=camera
t=0 0
a=range:npt={length}
m=video 0 RTP/AVP 96
a=rtpmap:96 MP4V-ES/{clock}
a=fmtp:96 profile-level-id=1;config={config}
a=control:video
"""


class RtspCamera(ThreadingTCPServer):
    """Sends a few pictures to who comes while it is entered, and hangs up.

    ``length`` is what it says of how long it goes on, "now-" for ever.
    """

    daemon_threads = allow_reuse_address = True

    def __init__(self, *, num_frames: int, length: str = "now-") -> None:
        self.config, self.pictures = _encode(num_frames)
        self.length = length
        super().__init__(("127.0.0.1", 0), _Connection)

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def address(self) -> str:
        """Where it is found."""
        return f"rtsp://127.0.0.1:{self.server_address[1]}/camera"


class _Connection(StreamRequestHandler):
    server: RtspCamera

    def handle(self) -> None:
        while request := self._read_request():
            method, fields = request
            self._answer(method, fields)
            if method == "PLAY":
                self._send_pictures()
                break

    def _read_request(self) -> tuple[str, dict[str, str]] | None:
        lines = []
        while line := self.rfile.readline().decode().strip():
            lines.append(line)
        if not lines:
            return None
        return lines[0].split()[0], dict(line.split(": ", 1) for line in lines[1:])

    def _answer(self, method: str, fields: dict[str, str]) -> None:
        camera, body = self.server, ""
        answer = [f"CSeq: {fields['CSeq']}", "Session: 1"]
        if method == "DESCRIBE":
            body = SDP.format(length=camera.length, clock=CLOCK, config=camera.config.hex()).replace("\n", "\r\n")
            answer += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            answer += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]
        self.wfile.write("\r\n".join(["RTSP/1.0 200 OK", *answer, "", body]).encode())

    def _send_pictures(self) -> None:
        for index, picture in enumerate(self.server.pictures):
            header = struct.pack(">BBHII", 2 << 6, 96 | 1 << 7, index, index * CLOCK // RATE, 1)
            self.wfile.write(struct.pack(">cBH", b"$", 0, len(header) + len(picture)) + header + picture)


def _encode(num_frames: int) -> tuple[bytes, list[bytes]]:
    """Return what a decoder must know first, and each picture."""
    encoder = av.CodecContext.create("mpeg4", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 96, 64, "yuv420p", RATE
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    greys = (np.full((64, 96, 3), 20 * index % 256, np.uint8) for index in range(num_frames))
    packets = [packet for grey in greys for packet in encoder.encode(av.VideoFrame.from_ndarray(grey, format="rgb24"))]
    packets += encoder.encode(None)
    return encoder.extradata or b"", [bytes(packet) for packet in packets]
