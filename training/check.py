"""A few sentences that any checkpoint should read right: whether training on few texts cost what it knew before."""

import torch

from ..decision_emodistill import DecisionConstants, EmbeddedLabels, score_labels
from ..encoding_emodistill import encode_labels, encode_texts, evaluating

__all__ = ["SENTENCES", "check_reading"]

# Written for this check; no data set holds them.
SENTENCES = {
    "joy": (
        "We danced in the kitchen until the cake was ready, I could not stop smiling.",
        "The results are in and I passed every single exam!",
        "What a perfect morning, the sea was warm and the children laughed all day.",
        "They said yes to our offer, we finally have a home.",
    ),
    "sadness": (
        "The house is so quiet since she is gone.",
        "I put his bowl away today, he was such a good dog.",
        "Nobody called on my birthday and I cried a little before bed.",
        "We packed up grandma's room this weekend, it broke my heart.",
    ),
    "anger": (
        "He lied to my face again, I am done with him.",
        "Three hours on the phone and they hung up on me, how dare they.",
        "Stop touching my things, I have told you a hundred times!",
        "They cut our pay and bought themselves a jet, I am furious.",
    ),
    "fear": (
        "Something is moving downstairs and I am alone in the house.",
        "My hands shake, the doctor said we must wait for the scan.",
        "The brakes did not answer and the lorry came closer.",
        "I dare not open the letter from the court.",
    ),
    "disgust": (
        "There was a hair in the soup and something green under it, I gagged.",
        "The bathroom reeked and the floor was sticky, never again.",
        "He picked his teeth and put the toothpick back, vile.",
        "Maggots came out of the bin, I nearly threw up.",
    ),
    "surprise": (
        "I opened the door and all my old friends stood there, I had no idea!",
        "Wait, you two are brothers? I would never have guessed.",
        "Out of nowhere she pulled a parrot from her bag.",
        "The bill was half of what they had said, I had to read it twice.",
    ),
    "gratitude": (
        "Thank you for staying with me all night, I will never forget it.",
        "I owe my teacher everything, she believed in me when nobody did.",
        "To the stranger who returned my purse: bless you, thanks a million.",
        "You did not have to help us move, it means so much to me.",
    ),
    "relief": (
        "The lump was nothing, I can breathe again.",
        "They found the boy asleep in the barn, thank goodness.",
        "At last the exams are over, what a weight off my shoulders.",
        "The plane landed after all that shaking and I finally let go of the seat.",
    ),
    "guilt": (
        "I ate her sandwich and let the intern take the blame, I feel awful.",
        "I should have visited him more, it is my fault that he was alone.",
        "I shouted at the kids for nothing and cannot forgive myself.",
        "I broke her vase and said it was the cat.",
    ),
    "pride": (
        "My daughter built that robot all by herself, look at it go!",
        "I ran the whole marathon, me, who could not climb the stairs last year.",
        "Our little team beat the champions and I led it.",
        "He is the first in our family to finish university.",
    ),
    "boredom": (
        "Another meeting about the meeting, I counted the ceiling tiles.",
        "Nothing on, nobody around, the afternoon just will not end.",
        "The lecture dragged on and on, half of us were asleep.",
        "I have refreshed this page forty times, there is nothing to do here.",
    ),
    "love": (
        "I married my best friend and I adore her more each day.",
        "When he holds my hand I am home.",
        "Goodnight my darling, you are everything to me.",
        "She falls asleep on my chest and I could stay like this forever.",
    ),
}


@torch.no_grad()
def check_reading(model, tokenizer):
    """
    Count the sentences whose best label, of the twelve, is their own.

    Args:
        model ([`EmoDistillModel`]): Any checkpoint.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.

    Returns:
        `dict[str, int]`: `texts`, and how many of them are `right`.

    Example:

    ```python
    >>> import emodistill
    >>> from emodistill.loading import load_checkpoint
    >>> from emodistill.training.check import check_reading

    >>> found = check_reading(*load_checkpoint())
    >>> found["texts"], found["right"] > 40
    (48, True)

    ```
    """
    labels = list(SENTENCES)
    texts = [text for sentences in SENTENCES.values() for text in sentences]
    truth = torch.tensor([number for number, label in enumerate(labels) for _ in SENTENCES[label]])
    with evaluating(model):
        label_set = EmbeddedLabels(labels, encode_labels(model, tokenizer, labels).float().cpu())
        embeds = encode_texts(model, tokenizer, texts).float().cpu()
    scores = score_labels(embeds, label_set, model.statistics, DecisionConstants.from_config(model.config))
    return {"texts": len(texts), "right": int((scores.argmax(dim=1) == truth).sum())}
