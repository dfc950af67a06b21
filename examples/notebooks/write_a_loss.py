# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Write a loss
#
# A loss of this zoo is two functions of logits, the raw scores that the discriminator gives: one says what it is to
# learn, the other what the generator is. The trainer does the rest. Here is one that is not in the zoo yet, a
# *logistic loss with a margin*: real pictures are to score above +m, made ones below -m, and nobody learns from what
# is beyond.

# %% tags=["parameters"]
IMAGES = "150k"

# %%
import torch
from matplotlib import pyplot
from torch.nn.functional import softplus


def wanting(logit, margin=1.0):
    """How far a score is from the margin, smoothly: about 0 beyond it, and a straight line before it."""
    return softplus(margin - logit)


scores = torch.linspace(-4, 4, 100)
pyplot.plot(scores, wanting(scores), label="of a real picture")
pyplot.plot(scores, wanting(-scores), label="of a made one")
pyplot.xlabel("logit")
pyplot.ylabel("D's loss")
pyplot.legend()
pyplot.show()

# %% [markdown]
# ## As a plugin
#
# Parts come as plugins, small packages that anybody can install. `ganzoo plugins new` writes one, with tests, and we
# put our loss into it.

# %%
# !ganzoo plugins new softmargin --kind loss

# %%
# %%writefile ganzoo-softmargin/ganzoo_softmargin/softmargin.py
"""A logistic loss with a margin."""

from __future__ import annotations

import ganzoo
from torch import Tensor
from torch.nn.functional import softplus


class SoftmarginLoss(ganzoo.AdversarialLoss):
    """Real samples are to score above the margin, generated ones below minus the margin, and G wants the former.

    margin: in units of logits.
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        self.margin = margin

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """real, fake: raw logits. Returns a scalar."""
        return softplus(self.margin - real).mean() + softplus(self.margin + fake).mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """fake: raw logits. Returns a scalar."""
        return softplus(self.margin - fake).mean()


# %%
# %pip install --quiet ./ganzoo-softmargin

# %% [markdown]
# Now it is a loss as any other. Its option is `loss.margin`; it goes with every network, penalty and data set, and
# `ganzoo plugins check softmargin` holds it to everything that the zoo promises of a loss.

# %%
import ganzoo

run = ganzoo.train("ring", loss="softmargin", set={"loss.margin": 0.5}, images=IMAGES, out="runs/softmargin")

# %%
run.model()

# %% [markdown]
# Eight modes: does it find them all? Compare with others over several seeds, as one run says little: `ganzoo study
# ring --loss softmargin,hinge,non-saturating --seeds 0-2`.
#
# `ganzoo-softmargin` is a complete distribution, with licence, tests and CI. Put it where you like, and everybody
# installs it with pip.
