"""Praise and blame that differ by a word or two, most of them by a negation: what a head that counts words gets wrong.

The list was written before the head that is judged on it was trained, and is whole.
"""

CONTRASTS = (
    ("The room was clean.", "The room was not clean."),
    ("The food was great.", "The food wasn't great."),
    ("The staff were friendly and helpful.", "The staff were neither friendly nor helpful."),
    ("I would recommend this hotel.", "I would not recommend this hotel."),
    ("I enjoyed every minute of it.", "I didn't enjoy a minute of it."),
    ("The ending was not disappointing.", "The ending was disappointing."),
    ("It isn't bad.", "It is bad."),
    ("The battery never fails.", "The battery fails."),
    ("There is nothing wrong with it.", "There is something wrong with it."),
    ("The jokes are funny.", "The jokes aren't funny."),
    ("It works.", "It doesn't work."),
    ("It was worth the money.", "It wasn't worth the money."),
    ("A film with charm and humour.", "A film without charm or humour."),
    ("The story is never boring.", "The story is boring."),
    ("The plot makes sense.", "The plot makes no sense."),
    ("They answered quickly and politely.", "They did not answer quickly, and were not polite."),
    ("I have no complaints.", "I have many complaints."),
    ("The soup had a wonderful taste.", "The soup had an awful taste."),
    ("The book is well written.", "The book is badly written."),
    ("The acting is convincing.", "The acting is hardly convincing."),
    ("I will come back.", "I will never come back."),
    ("The service could not be better.", "The service could not be worse."),
    ("You won't regret it.", "You will regret it."),
    ("My order arrived without problems.", "My order arrived with problems."),
    ("It's an interesting read.", "It's not an interesting read."),
    ("The sound is good, and so is the screen.", "The sound isn't good, and neither is the screen."),
    ("I am happy with this purchase.", "I am not happy with this purchase."),
    ("I can't complain.", "I can only complain."),
    ("The instructions were easy to follow.", "The instructions weren't easy to follow."),
    ("This is the best phone I have had.", "This is the worst phone I have had."),
    ("The pictures are beautiful.", "The pictures are ugly."),
    ("The talk was not at all dull.", "The talk was rather dull."),
)
"""Each time what praises, and what blames."""
