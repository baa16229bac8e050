"""The command line: parse, call one function, print the path."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from smstudy.errors import SmstudyError

DESCRIPTION = "Reproducible studies of social media adoption inside organizations."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says which family of error stopped it."""
    options = _parser().parse_args(arguments)
    try:
        options.call(options)
    except SmstudyError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped by you. Nothing was changed.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smstudy", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "run a study; what did not change is not run again")
    _add_case(run)
    run.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="notebook parameter")
    run.add_argument("--workers", type=int, default=3, metavar="N", help="notebooks run at a time (default 3)")
    check = _command(commands, "check", _check, "check study, codebook and data without running anything")
    _add_case(check)
    report = _command(commands, "report", _report, "print the path of the last report of a wave")
    report.add_argument("study", help="name or folder of the study")
    report.add_argument("--wave", default="", help="wave, if another than the one study.yml names")
    text = "release the last report of a wave, and guard later runs against it"
    release = _command(commands, "release", _release, text)
    release.add_argument("study", help="name or folder of the study")
    _add_data(release)
    release.add_argument("--wave", default="", help="wave, if another than that of the last run")
    _command(commands, "list", _list, "list the studies in reach")
    new = _command(commands, "new", _new, "draft a study and its codebook from an export")
    new.add_argument("name", help="name of the new study; it becomes a folder in studies/")
    new.add_argument("--from", dest="export", required=True, metavar="EXPORT", help="the survey export to begin from")
    new.add_argument(
        "--structure", default="", metavar="FILE",
        help="definition of the questionnaire: .qsf, .lss, LimeSurvey R syntax, or REDCap dictionary",
    )  # fmt: skip
    codebook = _command(commands, "codebook", _codebook, "write the codebook for archives, other programs and people")
    codebook.add_argument("study", help="name or folder of the study")
    _add_data(codebook)
    codebook.add_argument("--wave", default="", help="wave whose answers are counted, if another than in study.yml")
    codebook.add_argument("--to", default="", metavar="FOLDER", help="where to write; default: documents in the study")
    codebook.add_argument(
        "--with-answers", action="store_true", help="also write every answer as a labeled .sav: confidential"
    )
    data = _command(commands, "data", _data, "get a public data set")
    data.add_argument("action", choices=["get"])
    data.add_argument("name", help="name of the data set, for instance wiki4he")
    return parser


def _command(commands, name: str, call, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    command.set_defaults(call=call)
    return command


def _add_case(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", help="name or folder of the study")
    _add_data(command)
    command.add_argument("--wave", default="", help="name of the wave, if another than in study.yml")
    command.add_argument("--previous-wave", default=None, help='wave to compare with; "" for none')


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", action="append", default=[], metavar="ROLE=FILE",
        help="file for this run; roles: responses, previous_responses, frame",
    )  # fmt: skip


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    from smstudy.errors import StudyError

    for text in texts:
        if "=" not in text:
            raise StudyError(f'{option} {text}: write NAME=VALUE, without spaces around "=".')
    return dict(text.split("=", 1) for text in texts)


def _run(options: argparse.Namespace) -> None:
    from smstudy.study.runner import run_study

    finished = run_study(
        options.study,
        data=_pairs(options.data, "--data"),
        parameters=_pairs(options.parameter, "-p"),
        wave=options.wave,
        previous_wave=options.previous_wave,
        workers=options.workers,
    )
    state = "nothing changed" if not finished.executed else f"{len(finished.executed)} notebooks run"
    print(f"{state}, {finished.seconds:.1f} s", file=sys.stderr)
    print(finished.folder / "report.html")


def _check(options: argparse.Namespace) -> None:
    from smstudy.study.checking import check_study

    data = _pairs(options.data, "--data")
    print(check_study(options.study, data=data, wave=options.wave, previous_wave=options.previous_wave))


def _report(options: argparse.Namespace) -> None:
    from smstudy.study.runner import latest_report

    print(latest_report(options.study, wave=options.wave))


def _release(options: argparse.Namespace) -> None:
    from smstudy.study.release import release_run

    released = release_run(options.study, data=_pairs(options.data, "--data"), wave=options.wave)
    print(f"released: {released.parent.name}; for another wave add --wave", file=sys.stderr)
    print(released)


def _list(options: argparse.Namespace) -> None:
    from smstudy.study.definition import list_studies, place_of, read_study

    for name, folder in sorted(list_studies().items()):
        print(f"{name:24} {read_study(folder).title:48} {place_of(folder)}")


def _new(options: argparse.Namespace) -> None:
    from smstudy.study.scaffold import draft_study

    drafted = draft_study(options.name, options.export, structure=options.structure)
    for line in drafted.says():
        print(line, file=sys.stderr)
    print(f"Now finish codebook.yml there, then type: smstudy check {options.name}", file=sys.stderr)
    print(drafted.folder)


def _codebook(options: argparse.Namespace) -> None:
    from smstudy.study.documentation import write_documents

    data = _pairs(options.data, "--data")
    print(
        write_documents(options.study, data=data, wave=options.wave, to=options.to, with_answers=options.with_answers)
    )


def _data(options: argparse.Namespace) -> None:
    from smstudy.study.archives import get_data

    print(get_data(options.name))
