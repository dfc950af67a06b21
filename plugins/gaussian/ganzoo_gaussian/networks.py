"""The networks of "Generative Adversarial Networks (GANs) in 50 lines of code (PyTorch)", Dev Nag 2017.

Written from the article. What differs: D gives a raw logit, with no sigmoid at its end; and with "raw" and
"variances" D judges each sample. The article feeds it the whole minibatch as one vector there, which ties D to one
batch size and lets it see the order in which samples were drawn.

Together with the recipes this takes no more than 50 lines of code, and a test counts them.

Suffixes: N batch, D values in a sample.
"""

import torch
from torch import Tensor, nn

from ganzoo import Discriminator, Generator, Incompatible, Sample

FEATURES = {"raw": 1, "variances": 2, "moments": 4}


def mlp(source: Sample | None, target: Sample, first: int, hidden: int, last: int, bend: type[nn.Module]) -> nn.Module:
    """Three linear layers, bent after the first two.

    Raises `Incompatible` for pictures, bounded values and translations, which these networks cannot make.
    """
    if source is not None or len(target.shape) != 1 or target.bounded:
        raise Incompatible(f"gaussian turns noise into unbounded (D,) values, not {source or 'noise'} into {target}.")
    return nn.Sequential(nn.Linear(first, hidden), bend(), nn.Linear(hidden, hidden), bend(), nn.Linear(hidden, last))


def moments(sample_ND: Tensor) -> Tensor:
    """Mean, standard deviation, skew and excess kurtosis of each value over the batch: (1, 4D).

    The variance is the biased one; 1e-8 on top keeps the gradients finite for a batch of equal values.
    """
    mean_D, std_D = sample_ND.mean(0), (sample_ND.var(0, correction=0) + 1e-8).sqrt()
    score_ND = (sample_ND - mean_D) / std_D
    return torch.cat([mean_D, std_D, score_ND.pow(3).mean(0), score_ND.pow(4).mean(0) - 3])[None]


class GaussianGenerator(Generator):
    """Bend uniform latents in [0, 1] into values: linear layers D-5-5-D with tanh between them."""

    def __init__(self, source: Sample | None, target: Sample, classes: int) -> None:
        super().__init__()
        self.layers = mlp(source, target, target.size, 5, target.size, nn.Tanh)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Return (N, D), uniform in [0, 1]."""
        return torch.rand(n, self.layers[0].in_features, device=device)

    def truncate(self, latent: Tensor, truncation: float) -> Tensor:
        """Pull latents towards ½, their mean."""
        return 0.5 + truncation * (latent - 0.5)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: latents (N, D). Returns (N, D), unbounded."""
        return self.layers(source)


class GaussianDiscriminator(Discriminator):
    """Judge values by what `inputs` shows of them: linear layers 4D-10-10-1 with sigmoids between them.

    inputs: "moments" shows the mean, standard deviation, skew and excess kurtosis of the batch, and gives one logit
    for all of it; "raw" shows each sample x alone; "variances" shows each x with (x - batch mean)². The article
    feeds the last two as one vector of the whole minibatch, which ties D to one batch size.
    """

    def __init__(self, source: Sample | None, target: Sample, classes: int, inputs: str = "moments") -> None:
        super().__init__()
        if inputs not in FEATURES:
            raise ValueError(f"inputs is one of {', '.join(FEATURES)}, not {inputs!r}")
        self.inputs, self.judges_batch = inputs, inputs == "moments"
        self.layers = mlp(source, target, FEATURES[inputs] * target.size, 10, 1, nn.Sigmoid)

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, D). Returns logits: (1,) with "moments", else (N,)."""
        if self.inputs == "moments":
            sample = moments(sample)
        elif self.inputs == "variances":
            sample = torch.cat([sample, (sample - sample.mean(0)).square()], 1)
        return self.layers(sample).flatten()
