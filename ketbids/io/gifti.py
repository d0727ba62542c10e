"""Open GIFTI files; what lies outside their folder is not read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from ketbids.errors import InputError

if TYPE_CHECKING:
    from nibabel.gifti import GiftiImage

__all__ = ['open_gifti']


def open_gifti(path: Path, what: str = 'a GIFTI file') -> 'GiftiImage':
    """Open a GIFTI file whose numbers are in it, or in a file beside it (as SPM writes them).

    Parameters
    ----------
    path : Path
        Not compressed as a whole.
    what : str
        What it is to be, for messages.

    Raises
    ------
    InputError
        It is missing, damaged, or of another kind, declares XML entities, or keeps its numbers
        in another folder.
    """
    import nibabel as nb

    try:
        _check_references(path)
        image: Any = nb.load(path)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except Exception as error:  # nibabel, zlib and expat each have errors of their own
        raise InputError(f'{path} cannot be read as {what}: {error}.') from error
    if not isinstance(image, nb.GiftiImage):
        raise InputError(f'{path} cannot be read as {what}: its name must end in .gii.')
    return image


def _check_references(path: Path) -> None:
    """Refuse references to other folders before anything follows them.

    The parser is the one that nibabel uses, so that names are compared as they will be opened:
    character references, encodings and defaults of attributes are resolved.
    """

    def element(_: str, attributes: dict[str, str]) -> None:
        name = attributes.get('ExternalFileName', '')
        if not name:
            return
        beside = path.parent / name
        if '/' in name or '\\' in name or (beside.exists() and not beside.is_file()):
            raise InputError(
                f'{path} keeps its data in a file elsewhere ({name!r}): put that file beside '
                'this one and name it without a folder, or save this one with its data in it.'
            )

    def entity(name: str, *_: object) -> None:
        raise InputError(
            f'{path} declares the XML entity {name!r}, which has no place in a GIFTI file: take '
            'the file from its source, or save it again with the program that wrote it.'
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler = element
    parser.EntityDeclHandler = entity
    with path.open('rb') as file:
        parser.ParseFile(file)
