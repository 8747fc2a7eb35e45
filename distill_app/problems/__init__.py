"""Where problems come from: the built-in generator of word problems, files, and hub data sets.

`sources.read` turns a recipe's problem source into `Problem` rows; `benchmarks` knows the benchmarks by name;
`word_problems` makes the built-in ones.
"""
