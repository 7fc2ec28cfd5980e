"""Pictures of detections: the files of `netspec run -o boxes.png`, and how `-o` tells them from those of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.output import OutputFile, ReportOptions, check_names_a_file
from netspec.cli.provenance import is_our_picture
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.backends.onnx.detections import Detection

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The formats of pictures, by Pillow's names, for the suffixes of files."""
_OTHER_PICTURES = (".bmp", ".gif", ".pdf", ".svg", ".tif", ".tiff")
_NAME = "{name}"
"""What stands for the name of an image in the name of its picture."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """The name of the file of a picture, perhaps with `{name}` in it, and whether it may overwrite any other."""

    file: str
    force: bool

    def targets(self, images: Sequence[str]) -> dict[str, OutputFile]:
        """The file for the picture of each image. Raises an error if two have the same, or if a file must stay."""
        images = list(dict.fromkeys(images))
        if len(images) > 1 and _NAME not in self.file:
            path = Path(self.file)
            example = path.with_name(f"{path.stem}-{_NAME}{path.suffix}")
            raise click.UsageError(f"{len(images)} images are drawn in as many files: -o '{example}'")
        targets: dict[str, OutputFile] = {}
        first: dict[Path, str] = {}
        for image in images:
            path = Path(self.file.replace(_NAME, Path(image).stem))
            if first.setdefault(path, image) != image:
                raise click.UsageError(f"{first[path]} and {image} would both be drawn in {path}: run them one by one")
            targets[image] = OutputFile(path, is_our_picture, self.force)
            targets[image].check()
        return targets


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The values of `--format`, `-o` and `--force`: a report, which is printed if `-o` names a picture."""

    report: ReportOptions
    picture: PictureFile | None

    @classmethod
    def of(cls, format_: str | None, file: str | None, force: bool) -> RunOptions:
        """Tell by its suffix whether a file is for a report or a picture."""
        suffix = Path(file or "").suffix.lower()
        if file is not None and suffix in _FORMATS:
            check_names_a_file(file)
            return cls(ReportOptions.of(format_, None, force), PictureFile(file, force))
        if suffix in _OTHER_PICTURES and format_ is None:
            raise click.UsageError(f"-o takes a picture that ends in .png, .jpg or .webp, not `{file}`")
        return cls(ReportOptions.of(format_, file, force), None)


def draw_pictures(targets: Mapping[str, OutputFile], detections: Mapping[str, Sequence[Detection]]) -> None:
    """Draw what was detected in images, by their names, each in its file."""
    from netspec.backends.detection_picture import draw_detections, encode_picture
    from netspec.backends.images import read_image

    for image, target in targets.items():
        picture = draw_detections(read_image(image), detections[image])
        target.write(encode_picture(picture, _FORMATS[target.path.suffix.lower()]))
        echo(f"wrote {target.path}", err=True)
