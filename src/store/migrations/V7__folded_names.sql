-- Names are searched in normalization form D, so that a name typed composed or decomposed is found by either.
-- `folded_name` is the function of the program that folds new names.

UPDATE users SET name_folded = folded_name(name) WHERE name_folded <> folded_name(name);
