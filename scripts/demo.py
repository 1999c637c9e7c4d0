"""Label forty sentences with the default checkpoint and draw the scores as bars: `make demo`."""

import argparse
import sys

LABELS = (
    "joy", "anger", "sadness", "fear", "disgust", "surprise", "gratitude", "relief",
    "pride", "loneliness", "jealousy", "boredom", "hope", "guilt", "amusement", "love",
)  # fmt: skip

# Sentences of our own, written for this demo, with the label a reader would choose.
SENTENCES = (
    ("We danced in the kitchen all evening, best birthday I have ever had!", "joy"),
    ("The sun is out, the kids are laughing and I have the whole week off.", "joy"),
    ("I keep humming to myself; everything just feels wonderful today.", "joy"),
    ("How dare you read my messages behind my back!", "anger"),
    ("Third time they lost my parcel and nobody even bothers to answer. Unbelievable idiots.", "anger"),
    ("He lied to my face again and I could punch the wall.", "anger"),
    ("The house is so quiet since we buried Dad.", "sadness"),
    ("I cried the whole way home after saying goodbye to her.", "sadness"),
    ("My old dog is gone and nothing feels worth doing.", "sadness"),
    ("Someone is trying the door handle downstairs and I am alone.", "fear"),
    ("The doctor wants to see me again tomorrow and I can't stop shaking.", "fear"),
    ("Please don't make me go up there, the whole bridge is swaying.", "fear"),
    ("There was a hair and something crawling in my soup.", "disgust"),
    ("He spat on the floor and wiped his nose on the curtain, revolting.", "disgust"),
    ("The smell of that fridge nearly made me throw up.", "disgust"),
    ("Wait, what? You two are married? Since when?", "surprise"),
    ("I opened the door and the entire office jumped out from behind the sofa, I had no idea!", "surprise"),
    ("Thank you so much for sitting with me at the hospital, I won't forget it.", "gratitude"),
    ("I owe my teacher everything; without her I would never have finished school.", "gratitude"),
    ("You saved my weekend, cheers mate, really appreciate it.", "gratitude"),
    ("Phew, the test came back negative.", "relief"),
    ("They found my son safe and sound at a friend's house, I can breathe again.", "relief"),
    ("Finally the exams are over and that weight is off my shoulders.", "relief"),
    ("My daughter just became the first doctor in our family.", "pride"),
    ("I built this boat with my own two hands and it floats.", "pride"),
    ("Another Friday night with nobody to call.", "loneliness"),
    ("Everyone at the party had someone to talk to except me.", "loneliness"),
    ("She gets the promotion, the house, the holidays, and I get to like her photos.", "jealousy"),
    ("I hate how he smiles at her when he never smiles at me like that.", "jealousy"),
    ("This meeting has been going for three hours and I have counted every ceiling tile twice.", "boredom"),
    ("Nothing on TV, nothing to do, the afternoon just drags on.", "boredom"),
    ("Maybe this new treatment will work, the doctors sound optimistic.", "hope"),
    ("Fingers crossed, next year things will look up for us.", "hope"),
    ("I should have been there when she needed me, it is all my fault.", "guilt"),
    ("I ate the last of my brother's savings and he still calls me his best friend.", "guilt"),
    ("The cat walked past the camera in the middle of my wedding speech, I was in stitches.", "amusement"),
    ("Lol, he tried to push the door that says pull for five minutes straight.", "amusement"),
    ("I could look at your face for the rest of my life.", "love"),
    ("Forty years together and my heart still jumps when he walks in.", "love"),
    ("Good night my darling, you are my whole world.", "love"),
)  # fmt: skip


def right_answers(classify):
    """`(results, number right)` of a zero-shot-emotion pipeline on the forty sentences."""
    results = classify([text for text, _ in SENTENCES], labels=list(LABELS))
    right = sum(result["predicted"] == [expected] for result, (_, expected) in zip(results, SENTENCES, strict=True))
    return results, right


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder or Hub id of a checkpoint; the default one by default")
    args = parser.parse_args(argv)
    from transformers import pipeline
    from transformers.utils import logging

    import emodistill

    logging.disable_progress_bar()
    classify = pipeline(emodistill.TASK, model=args.model)
    results, right = right_answers(classify)
    print(f"{len(LABELS)} labels: {', '.join(LABELS)}\n")
    for result, (text, expected) in zip(results, SENTENCES, strict=True):
        print(text)
        for label, score in list(zip(result["labels"], result["scores"], strict=True))[:3]:
            mark = "*" if label in result["predicted"] else " "
            print(f"  {mark} {label:<10} {score:5.2f} {'█' * round(40 * score)}")
        if result["predicted"] != [expected]:
            print(f"    expected: {expected}")
        print()
    print(f"{right} of {len(SENTENCES)} as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
