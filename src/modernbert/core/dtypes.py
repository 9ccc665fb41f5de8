"""What an encoder computes in, by the names that commands and configurations spell; no torch here."""

from typing import Literal

DtypeName = Literal["auto", "float32", "bfloat16", "int8"]
"""auto: bfloat16 where the processor multiplies it, else float32."""
