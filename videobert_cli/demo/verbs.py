"""What the eight verbs look like: each an action with its tool at work and its effect growing."""

import math
from collections.abc import Callable
from functools import cache
from typing import Literal

import numpy as np
from PIL import Image

from videobert_cli.demo.action import Act, Moment
from videobert_cli.demo.objects import Looks
from videobert_cli.demo.paint import Point, mix


def _swing(seconds: float, rate_hertz: float) -> float:
    """Return a movement to and fro between -1 and 1."""
    return math.sin(2 * math.pi * rate_hertz * seconds)


def _held(moment: Moment, act: Act, tool: Image.Image, *, at: Point, angle: float, grip_units: float) -> None:
    """Put a tool that points left and the hand that grips it `grip_units` right of its middle."""
    moment.put(tool, at, angle=angle)
    turn = math.radians(angle)
    grip = (at[0] + grip_units * math.cos(turn), at[1] - grip_units * math.sin(turn))
    reach = 46
    palm = (grip[0] + reach * math.cos(turn - 0.25), grip[1] - reach * math.sin(turn - 0.25))
    moment.put(act.tools["hand"], palm, angle=angle - 14, size=0.9)


def _cut(moment: Moment, act: Act) -> None:
    """A knife comes down on the object; what lies right of it falls into slices."""
    looks, whole = act.looks, act.looks.whole
    moment.put(act.tools["board"], (4, 26))
    done = 0.15 + 0.75 * moment.done
    width = whole.width / 2
    left = -46 - width * 0.1
    rest = max(4, round(whole.width * (1 - done) / 8) * 8)
    edge = left - width / 2 + rest / 2 + 14
    moment.put(_left_part(looks, "whole", rest), (left - width / 2 + rest / 4 + 14, 8))
    for k in range(2 + round(done * 7)):
        place = (edge + 20 + k * 13 + 8 * act.chance(k), 14 + 34 * (act.chance(k + 20) - 0.35))
        moment.put(looks.slice, place, angle=360 * act.chance(k + 40), size=0.82)
    lift = abs(_swing(moment.seconds, 1.15 * act.tempo)) * 34
    _held(moment, act, act.tools["knife"], at=(edge + 16, -8 - lift), angle=42 + lift * 0.35, grip_units=76)


@cache
def _left_part(looks: Looks, state: Literal["whole", "peeled"], width: int) -> Image.Image:
    """Return the left `width` pixels of a sprite, the same picture every time so that a stage can keep it."""
    sprite = looks.whole if state == "whole" else looks.peeled
    return sprite.crop((0, 0, width, sprite.height))


def _peel(moment: Moment, act: Act) -> None:
    """A peeler runs along the object, the flesh shows, curls of skin hang and pile up."""
    looks = act.looks
    width, height = looks.whole.width / 2, looks.whole.height / 2
    moment.put(act.tools["hand"], (-width / 2 - 46, 6), angle=180)
    moment.put(looks.whole, (0, 0), size=1.15)
    bare = round(looks.whole.width * (0.15 + 0.8 * moment.done) / 8) * 8
    part = _left_part(looks, "peeled", bare)
    moment.put(part, ((-width / 2 + bare / 4) * 1.15, 0), size=1.15)
    for k in range(4 + round(moment.done * 9)):
        place = (150 * (act.chance(k) - 0.5), 52 + 24 * act.chance(k + 15))
        moment.put(looks.curl, place, angle=360 * act.chance(k + 30))
    stroke = _swing(moment.seconds, 0.9 * act.tempo)
    blade = ((0.36 * stroke + 0.02) * width * 1.1, -height * 0.16)
    moment.put(looks.curl, (blade[0] + 2, blade[1] + 20), angle=40 * stroke, size=1.3)
    _held(moment, act, act.tools["peeler"], at=(blade[0] + 43, blade[1] - 12), angle=16, grip_units=40)


def _wash(moment: Moment, act: Act) -> None:
    """Water runs from a tap over the object in a basin, and splashes."""
    moment.put(act.tools["basin"], (0, 22))
    bob = 5 * _swing(moment.seconds, 0.8 * act.tempo)
    at = (bob * 1.2, 40 + bob * 0.4)
    moment.blob(
        [(at[0] + 66 * math.cos(a), 62 + 22 * math.sin(a)) for a in np.linspace(0, 6.28, 24)],
        (150, 190, 212),
    )
    moment.put(act.tools["hand"], (at[0] + 74, at[1] + 18), angle=-16)
    moment.put(act.looks.whole, at, angle=40 * _swing(moment.seconds, 0.45 * act.tempo), size=0.95)
    top, mouth = at[1] - act.looks.whole.height * 0.17, -42
    wobble = 3 * _swing(moment.seconds, 3.1)
    moment.blob([(-11, mouth), (11, mouth), (14 + wobble, top), (-14 + wobble, top)], (178, 212, 232))
    for k in range(5):
        x = -9 + 4.5 * k
        shift = (moment.seconds * 190 + 60 * act.chance(k)) % 40
        for y in np.arange(mouth + shift - 30, top, 40):
            moment.line([(x, max(mouth, y)), (x * 1.2, min(top, max(mouth, y) + 18))], 2.4, (236, 246, 252))
    for k in range(26):
        age = (moment.seconds * (1.6 + act.chance(k)) + act.chance(k + 7)) % 1
        reach = (act.chance(k + 3) - 0.5) * 170 * age
        rise = 46 * age * (1 - age) * 4 * (0.4 + act.chance(k + 11)) - 34 * age
        moment.dot((at[0] + reach, top - rise + 10), 1.6 + 2.4 * act.chance(k + 5), (214, 234, 244))
    for side in (-1, 1):
        sheet = [
            (side * 8, top),
            (side * 30, top + 12),
            (side * (44 + wobble), top + 46),
            (side * 34, top + 48),
            (side * 22, top + 18),
        ]
        moment.line([(at[0] + x, y) for x, y in sheet[:3]], 4, (206, 230, 242))
    moment.put(act.tools["tap"], (30, -72))


def _grind(moment: Moment, act: Act) -> None:
    """Pieces go into a mill's funnel, the crank turns, strands come out and heap up on a plate."""
    looks = act.looks
    moment.put(looks.whole, (64, 58), angle=20, size=0.75)
    moment.put(looks.slice, (26, 72), angle=30, size=0.7)
    moment.put(act.tools["plate"], (-56, 66), size=0.85)
    pulp = mix(looks.flesh, looks.skin, 0.4)
    heap = 10 + 24 * moment.done
    for k in range(36):
        x = -58 + (act.chance(k) - 0.5) * 100
        y = 66 - heap * (1 - abs(x + 58) / 56) * act.chance(k + 9)
        tone = mix(pulp, (255, 255, 255) if k % 3 else looks.skin, 0.25)
        turn = 6.28 * act.chance(k + 17)
        moment.line(
            [
                (x, y),
                (x + 7 * math.cos(turn), y + 5 * math.sin(turn)),
                (x + 12 * math.cos(turn + 0.8), y + 3),
            ],
            4,
            tone,
        )
    for k in range(9):
        x, y = -66 + 3.2 * (k % 3) - 5, -8 + 5 * k
        fall = (moment.seconds * 0.9 * act.tempo + act.chance(k)) % 1
        end = min(62.0, y + 10 + 46 * fall)
        moment.line(
            [(x + 6, y), (x - 8, y + 4), (x - 11 + 3 * _swing(moment.seconds + k, 1.3), end)],
            4,
            mix(pulp, looks.skin, 0.1 * k),
        )
    sink = (moment.seconds * 0.35 * act.tempo) % 1
    moment.put(looks.whole, (2, -96 + 16 * sink), angle=70, size=0.72)
    moment.put(looks.piece, (-18, -84 + 10 * sink), angle=20, size=0.7)
    moment.put(looks.piece, (26, -82 + 12 * sink), angle=200, size=0.7)
    moment.put(act.tools["grinder"], (0, 0))
    moment.put(looks.slice, (-92, 72), angle=200, size=0.62)
    turn = -360 * 0.75 * act.tempo * moment.seconds
    moment.put(act.tools["crank"], (70, 8), angle=turn)
    radians = math.radians(turn)
    knob = (70 - 46 * math.sin(radians) + 12, 8 - 46 * math.cos(radians))
    moment.put(act.tools["hand"], (knob[0] + 36, knob[1]), size=0.85)


def _fry(moment: Moment, act: Act) -> None:
    """A pan over flames, slices hop in bubbling oil, smoke rises."""
    looks = act.looks
    flicker = moment.seconds * 9
    for k in range(13):
        x = -84 + 14 * k
        height = 40 + 20 * math.sin(flicker + 5.1 * k) + 10 * act.chance(k)
        for shrink, colour in ((1.0, (58, 110, 226)), (0.78, (240, 128, 30)), (0.45, (255, 216, 90))):
            tip = (x + 5 * math.sin(flicker * 0.7 + k), 84 - height * shrink)
            moment.blob([(x - 8 * shrink, 84), tip, (x + 8 * shrink, 84)], colour)
    moment.line([(-100, 86), (100, 86)], 7, (40, 40, 42))
    slide = 6 * _swing(moment.seconds, 0.7 * act.tempo)
    moment.put(act.tools["pan"], (slide, 14))
    for k in range(30):
        angle, radius = 6.28 * act.chance(k), math.sqrt(act.chance(k + 31))
        age = (moment.seconds * (2 + 2 * act.chance(k + 4)) + act.chance(k + 9)) % 1
        centre = (slide + 82 * radius * math.cos(angle), 20 + 33 * radius * math.sin(angle))
        moment.dot(centre, 1 + 3.4 * age, (214, 178, 96) if k % 2 else (244, 222, 160))
    for k in range(7):
        angle = 0.9 * k + 1.3 * act.chance(k)
        radius = 0.25 if k == 0 else 0.72
        hop = 13 * max(0.0, _swing(moment.seconds + act.chance(k + 3), 1.6 * act.tempo))
        at = (slide + 72 * radius * math.cos(angle), 16 + 27 * radius * math.sin(angle) - hop)
        moment.put(
            looks.slice if k % 3 else looks.piece,
            at,
            angle=60 * k + 20 * math.floor(moment.seconds * 2),
            size=0.74,
        )
    for k in range(5):
        age = (moment.seconds * 0.45 + act.chance(k + 40)) % 1
        foot = slide + 110 * (act.chance(k + 44) - 0.5)
        points = [(foot + 7 * math.sin(6 * (age + j * 0.12) + k), -20 - 60 * age - 9 * j) for j in range(4)]
        moment.line(points, 4 * (1 - age) + 1, (216, 214, 210))


def _stir(moment: Moment, act: Act) -> None:
    """A wooden spoon goes round in a pot of broth, pieces swirl after it."""
    looks = act.looks
    moment.put(act.tools["pot"], (0, 16))
    turn = 2 * math.pi * 0.55 * act.tempo * moment.seconds
    for k in range(3):
        start = turn - 0.5 - 0.9 * k
        points = [
            ((84 - 16 * k) * math.cos(start - 0.25 * j), 13 + (38 - 8 * k) * math.sin(start - 0.25 * j))
            for j in range(6)
        ]
        moment.line(points, 3, (250, 232, 190))
    for k in range(9):
        angle = turn * 0.8 + 0.7 * k + act.chance(k)
        radius = 0.3 + 0.6 * act.chance(k + 12)
        at = (80 * radius * math.cos(angle), 12 + 36 * radius * math.sin(angle))
        moment.put(looks.slice if k % 2 else looks.piece, at, angle=math.degrees(-angle), size=0.68)
    tip = (58 * math.cos(turn), 10 + 24 * math.sin(turn))
    moment.put(act.tools["spoon"], (tip[0] + 62, tip[1] - 52))
    moment.put(act.tools["hand"], (tip[0] + 166, tip[1] - 136), angle=28)


def _boil(moment: Moment, act: Act) -> None:
    """The object dances in a glass pot of bubbling water, steam above, a glowing plate below."""
    looks = act.looks
    glow = (226, 70 + int(30 * _swing(moment.seconds, 0.4)), 30)
    moment.line([(-104, 92), (104, 92)], 14, (44, 40, 40))
    moment.line([(-92, 90), (92, 90)], 6, glow)
    moment.put(act.tools["kettle"], (0, 10))
    for k in range(2):
        bob = 9 * _swing(moment.seconds + 0.4 * k, 0.7 * act.tempo)
        at = (-36 + 70 * k + 6 * _swing(moment.seconds, 0.5), 36 - 12 * k + bob)
        moment.put(looks.whole, at, angle=50 * k + 16 * _swing(moment.seconds + k, 0.5), size=0.72)
    for k in range(40):
        age = (moment.seconds * (0.9 + 0.9 * act.chance(k)) * act.tempo + act.chance(k + 21)) % 1
        x = 168 * (act.chance(k + 5) - 0.5) + 4 * math.sin(9 * age + k)
        y = 72 - 100 * age
        radius = 2 + 4.5 * act.chance(k + 2) * (0.5 + age)
        moment.dot((x, y), radius, (220, 238, 246))
        moment.dot((x + 0.25 * radius, y + 0.25 * radius), radius * 0.62, (150, 192, 212))
    for k in range(16):
        x = -84 + 11 * k
        moment.dot((x, -28 + 5 * math.sin(moment.seconds * 11 + 2.4 * k)), 7, (232, 244, 248))
    for k in range(7):
        age = (moment.seconds * 0.5 + act.chance(k + 40)) % 1
        x = 150 * (act.chance(k + 44) - 0.5)
        points = [(x + 9 * math.sin(5 * (age + j * 0.13) + k), -44 - 50 * age - 11 * j) for j in range(4)]
        moment.line(points, 6 * (1 - age) + 1, (236, 238, 240))


def _season(moment: Moment, act: Act) -> None:
    """A cellar shakes over the object on its plate, grains rain down and stay."""
    looks = act.looks
    moment.put(act.tools["plate"], (0, 46), size=0.95)
    moment.put(looks.whole, (-20, 26))
    moment.put(looks.slice, (46, 48), angle=30, size=0.7)
    moment.put(looks.slice, (64, 40), angle=100, size=0.7)
    shake = _swing(moment.seconds, 1.9 * act.tempo)
    at = (2 + 26 * _swing(moment.seconds, 0.23) + 8 * shake, -62 + 9 * abs(shake))
    for k in range(50):
        lands = (120 * (act.chance(k) - 0.5), 20 + 44 * (act.chance(k + 13) - 0.4))
        if k < 14 + 36 * moment.done:
            moment.dot(lands, 1.5, (252, 252, 252))
    for k in range(44):
        age = (moment.seconds * (1.5 + 0.5 * act.chance(k)) + act.chance(k + 29)) % 1
        x = at[0] - 10 + (act.chance(k + 3) - 0.5) * (26 + 60 * age)
        moment.dot((x, at[1] + 40 + 78 * age), 1.7, (250, 250, 250))
        moment.dot((x + 1.5, at[1] + 41.5 + 78 * age), 0.8, (120, 116, 112))
    moment.put(act.tools["shaker"], at, angle=-14 + 9 * shake, size=1.05)
    moment.put(act.tools["hand"], (at[0] + 62, at[1] - 16), angle=12)


_VERBS: dict[str, tuple[Callable[[Moment, Act], None], Point]] = {
    "cut": (_cut, (6, 0)),
    "peel": (_peel, (6, 8)),
    "wash": (_wash, (4, 8)),
    "grind": (_grind, (-14, 10)),
    "fry": (_fry, (0, 24)),
    "stir": (_stir, (14, 0)),
    "boil": (_boil, (0, 14)),
    "season": (_season, (4, 0)),
}
VERBS = tuple(_VERBS)


def draw_action(verb: str, *, moment: Moment, act: Act) -> None:
    """Draw one frame of the verb's action on the moment's canvas."""
    _VERBS[verb][0](moment, act)


def focus(verb: str) -> Point:
    """Return the point of the scene that a close-up of the verb looks at."""
    return _VERBS[verb][1]
