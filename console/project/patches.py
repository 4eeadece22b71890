"""Text of a patch or a file as it may be kept: secrets masked, binary parts untouched."""

from __future__ import annotations

from console.project.masking import is_worth_a_look, mask_text


def mask_patch(patch: bytes) -> tuple[bytes, int]:
    """The patch with masked values, and in how many lines; where that is not 0, it no longer gives the exact files."""
    text = patch.decode("utf-8", "surrogateescape")
    if not is_worth_a_look(text):
        return patch, 0
    lines = text.split("\n")
    masked_count = 0
    binary = in_key = False
    for position, line in enumerate(lines):
        if line.startswith("diff --git "):
            binary = in_key = False
        elif line == "GIT binary patch":
            binary = True
        if binary:
            continue
        if in_key:
            in_key = "-----END " not in line
            masked = line[:1] + "***"
        else:
            in_key = "-----BEGIN " in line and "PRIVATE KEY-----" in line and "-----END " not in line
            masked = mask_text(line)
        if masked != line:
            lines[position] = masked
            masked_count += 1
    return ("\n".join(lines).encode("utf-8", "surrogateescape") if masked_count else patch), masked_count


def mask_file(content: bytes) -> bytes:
    """The content of a text file with masked values."""
    text = content.decode("utf-8", "surrogateescape")
    masked = mask_text(text)
    return content if masked == text else masked.encode("utf-8", "surrogateescape")
