"""Live streams: frames in over a WebSocket, people and their actions out while they happen."""
