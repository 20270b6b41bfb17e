"""Cut an ONNX model down to some of its outputs.

onnxruntime works out all outputs of a graph, asked for or not, and keeps what leads to none. The file is cut as the
protobuf message that it is: the package that edits models is not needed to run them.
"""

from collections.abc import Collection, Iterator

from pipeline.errors import ModelError

# Numbers of the fields that count, from onnx.proto.
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_OUTPUT = 1, 12
NODE_INPUT, NODE_OUTPUT, NODE_ATTRIBUTE = 1, 2, 5
ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS = 6, 11
VALUE_NAME = 1

# How a field is written: as a number of any length, as 8 bytes, after its length, as 4 bytes.
VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5

_Field = tuple[int, memoryview, memoryview]  # its number, all of it, and its content


def keep_outputs(model: bytes, names: Collection[str]) -> bytes:
    """Return the model with these outputs only, and no node that they do not need.

    Raises:
        ModelError: it is no model, or lacks one of them.
    """
    try:
        return b"".join(
            _delimited(MODEL_GRAPH, _cut(content, {name.encode() for name in names}))
            if number == MODEL_GRAPH
            else bytes(field)
            for number, field, content in _fields(memoryview(model))
        )
    except IndexError as error:
        raise ModelError("what was given is not an ONNX model: it ends in the middle of a field") from error


def _cut(graph: memoryview, wanted: set[bytes]) -> bytes:
    fields = list(_fields(graph))
    outputs = {_name(content) for number, _, content in fields if number == GRAPH_OUTPUT}
    if not wanted <= outputs:
        missing = ", ".join(sorted(name.decode() for name in wanted - outputs))
        raise ModelError(f"expected a model with outputs {missing}, got one without")
    needed, kept = set(wanted), []
    for number, field, content in reversed(fields):  # a node stands behind those that it takes from
        if number == GRAPH_NODE:
            if needed.isdisjoint(_writes(content)):
                continue
            needed.update(_reads(content))
        if number != GRAPH_OUTPUT or _name(content) in wanted:
            kept.append(field)
    return b"".join(reversed(kept))


def _writes(node: memoryview) -> Iterator[bytes]:
    return (bytes(content) for number, _, content in _fields(node) if number == NODE_OUTPUT)


def _reads(node: memoryview) -> Iterator[bytes]:
    """Yield what a node takes, and what the nodes of its branches and loops do."""
    for number, _, content in _fields(node):
        if number == NODE_INPUT:
            yield bytes(content)
        elif number == NODE_ATTRIBUTE:
            for inner in _children(content, (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS)):
                for inner_node in _children(inner, (GRAPH_NODE,)):
                    yield from _reads(inner_node)


def _name(value: memoryview) -> bytes:
    return b"".join(_children(value, (VALUE_NAME,)))


def _children(message: memoryview, numbers: Collection[int]) -> Iterator[memoryview]:
    return (content for number, _, content in _fields(message) if number in numbers)


def _fields(message: memoryview) -> Iterator[_Field]:
    """Yield the fields of a message in order; ``IndexError`` if it breaks off."""
    begin = 0
    while begin < len(message):
        key, content = _read_varint(message, begin)
        number, kind = divmod(key, 8)
        if kind == DELIMITED:
            size, content = _read_varint(message, content)
            end = content + size
        elif kind == VARINT:
            _, end = _read_varint(message, content)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            end = content + (8 if kind == EIGHT_BYTES else 4)
        else:
            raise ModelError(f"what was given is not an ONNX model: it has a field of kind {kind}")
        if end > len(message):
            raise IndexError(end)
        yield number, message[begin:end], message[content:end]
        begin = end


def _read_varint(message: memoryview, begin: int) -> tuple[int, int]:
    """Return a number of any length, seven bits a byte and the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[begin]
        begin += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, begin


def _delimited(number: int, content: bytes) -> bytes:
    return _varint(number * 8 + DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
