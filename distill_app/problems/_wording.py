"""The wording of the template families: our own sentences, several surface forms a family.

`{name}` and `{other}` are two different people, `{items}` things that can be counted; the letters are the
numbers that the family's `work` returns.
"""

from __future__ import annotations

NAMES = (
    "Amira", "Bruno", "Chloe", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kemal", "Lena",
    "Malik", "Nadia", "Oskar", "Priya", "Quinn", "Rosa", "Samir", "Tilda", "Umar", "Vera", "Wanda", "Yusuf",
)  # fmt: skip

ITEMS = (
    "apples", "beads", "buttons", "candles", "cards", "coins", "cookies", "eggs", "flowers", "lemons", "marbles",
    "muffins", "nails", "pencils", "pens", "plums", "postcards", "ribbons", "shells", "stamps", "stickers",
    "tiles", "walnuts",
)  # fmt: skip

FORMS: dict[str, tuple[str, ...]] = {
    "add": (
        "{name} has {a} {items} and gets {b} more from {other}. How many {items} does {name} have now?",
        "There are {a} {items} in the left drawer and {b} {items} in the right drawer. How many {items} are in"
        " both drawers together?",
        "{name} finds {a} {items} on Monday and {b} {items} on Tuesday. How many {items} is that in total?",
        "{name} brings {a} {items} and {other} brings {b}. How many {items} do they bring together?",
    ),
    "sub": (
        "{name} has {a} {items} and gives {b} of them to {other}. How many {items} does {name} have left?",
        "A box holds {a} {items}. {name} takes out {b}. How many {items} stay in the box?",
        "A shop has {a} {items} in the morning and sells {b} of them. How many {items} are left to sell?",
        "{name} needs {a} {items} and already has {b}. How many more {items} does {name} need?",
    ),
    "mul": (
        "Each bag holds {a} {items}. {name} buys {b} bags. How many {items} does {name} buy?",
        "{name} packs {a} {items} into each of {b} boxes. How many {items} does {name} pack in total?",
        "There are {b} shelves with {a} {items} on each shelf. How many {items} are on the shelves?",
        "{name} makes {a} {items} every day. How many {items} does {name} make in {b} days?",
    ),
    "div": (
        "{name} deals out {a} {items} evenly to {b} children. How many {items} does each child get?",
        "{a} {items} are packed into {b} boxes, the same number in each. How many {items} are in one box?",
        "{name} puts {a} {items} into {b} equal rows. How many {items} are in a row?",
        "{b} friends split {a} {items} equally. How many {items} does one friend get?",
    ),
    "area": (
        "A garden bed is {a} meters long and {b} meters wide. What is its area in square meters?",
        "{name} lays a carpet of {a} meters by {b} meters. How many square meters does it cover?",
        "A rectangular wall is {a} meters long and {b} meters high. {name} paints all of it. How many square"
        " meters does {name} paint?",
    ),
    "perimeter": (
        "A field is {a} meters long and {b} meters wide. How many meters of fence go once around it?",
        "{name} glues tape around the edge of a picture that is {a} inches wide and {b} inches high. How many"
        " inches of tape does {name} need?",
        "A rectangle has sides of {a} and {b} centimeters. What is its perimeter in centimeters?",
    ),
    "add_three": (
        "{name} picks {a} {items} in the morning, {b} at noon and {c} in the evening. How many {items} does"
        " {name} pick that day?",
        "The bowls on a table hold {a}, {b} and {c} {items}. How many {items} are in them altogether?",
        "{name} has {a} {items}, buys {b} more and is then given {c}. How many {items} does {name} have now?",
    ),
    "off_and_on": (
        "A bus carries {a} people. At a stop {b} get off and {c} get on. How many people are on the bus now?",
        "{name} has {a} {items}, gives away {b} and later finds {c} more. How many {items} does {name} have in"
        " the end?",
        "A library has {a} books on a shelf. {b} are lent out and then {c} are brought back. How many books are"
        " on the shelf?",
    ),
    "mul_add": (
        "{name} buys {b} packs of {a} {items} and has {c} {items} at home. How many {items} is that in total?",
        "There are {b} full boxes with {a} {items} each and {c} loose {items}. How many {items} are there in"
        " all?",
        "{name} reads {a} pages a day for {b} days and {c} pages on the last day. How many pages does {name}"
        " read?",
    ),
    "mul_sub": (
        "{name} has {b} boxes of {a} {items} and uses up {c} {items}. How many {items} are left?",
        "A baker fills {b} trays with {a} rolls each and sells {c} rolls. How many rolls are left?",
        "{name} collects {a} {items} on each of {b} days and then loses {c}. How many {items} does {name}"
        " still have?",
    ),
    "share": (
        "{name} has {a} {items} and {other} has {b}. They put them together and share them equally among {c}"
        " children. How many {items} does each child get?",
        "A teacher mixes {a} red and {b} blue {items} and makes {c} equal heaps. How many {items} are in a heap?",
        "{name} bakes {a} rolls, then {b} more, and fills {c} bags evenly. How many rolls go into each bag?",
    ),
    "save_up": (
        "{name} wants a bike for {a} dollars and has {b} dollars. {name} saves {c} dollars a week. How many"
        " weeks does it take?",
        "A trip costs {a} dollars. {name} has paid {b} dollars and pays the rest in parts of {c} dollars. How"
        " many parts are there?",
        "{name} owes {other} {a} dollars, gives back {b} dollars at once and then {c} dollars a day. After how"
        " many days is all of it paid?",
    ),
    "rate": (
        "A machine makes {a} {items} in {b} hours. How many {items} does it make in {c} hours?",
        "{name} walks {a} blocks in {b} minutes, always at the same pace. How many blocks does {name} walk in"
        " {c} minutes?",
        "{name} earns {a} dollars for {b} hours of work. How many dollars does {name} earn for {c} hours?",
    ),
    "times": (
        "{name} has {a} {items}. {other} has {b} times as many. How many {items} do they have together?",
        "{name} ran {a} laps last week and {b} times as many this week. How many laps is that in both weeks?",
        "A small jar holds {a} {items}, a large jar {b} times as many. How many {items} do both jars hold?",
    ),
    "compare": (
        "{name} has {a} {items}. {other} has {b} more than {name}. How many {items} do they have together?",
        "{name} scores {a} points and {other} scores {b} points more. How many points do they score together?",
        "A shop sells {a} {items} on Friday and {b} more than that on Saturday. How many {items} does it sell"
        " on both days?",
    ),
    "change": (
        "{name} buys {a} {items} at {b} dollars each and pays with {c} dollars. How many dollars does {name} get"
        " back?",
        "A ticket costs {b} dollars. {name} takes {a} tickets and hands over {c} dollars. How much change, in"
        " dollars, does {name} get?",
        "{name} has {c} dollars and spends {b} dollars on each of {a} gifts. How many dollars are left?",
    ),
    "percent": (
        "{name} has {a} {items}. {b}% of them are blue. How many {items} are blue?",
        "There are {a} children in a club and {b}% of them can swim. How many of the children can swim?",
        "{name} has read {b}% of a book of {a} pages. How many pages has {name} read?",
    ),
    "discount": (
        "A coat costs {a} dollars. In the sale it is {b}% cheaper. What does it cost now, in dollars?",
        "{name} has {a} {items} and gives away {b}% of them. How many {items} does {name} keep?",
        "A tank holds {a} liters of water and loses {b}% of it. How many liters are left?",
    ),
    "equation": (
        "I think of a number, multiply it by {a} and add {b}. I get {c}. What is my number?",
        "{name} thinks of a number. {a} times the number plus {b} makes {c}. What is the number?",
        "A taxi takes {b} dollars at the start and {a} dollars for each mile. {name} pays {c} dollars. How many"
        " miles was the ride?",
    ),
    "two_kinds": (
        "{name} buys {a} books at {b} dollars each and {c} games at {d} dollars each. How many dollars does"
        " {name} pay?",
        "There are {a} boxes with {b} {items} each and {c} boxes with {d} {items} each. How many {items} are"
        " there?",
        "A hall has {a} rows of {b} seats and {c} rows of {d} seats. How many seats does it have?",
    ),
    "average": (
        "{name} plays 3 rounds and scores {a}, {b} and {c} points. What is the average score of a round?",
        "A shop sells {a}, {b} and {c} {items} on 3 days. How many {items} is that a day on average?",
        "3 parcels weigh {a}, {b} and {c} pounds. What do they weigh on average, in pounds?",
    ),
}  # fmt: skip
