"""BigGANs as other programs compute them, in plain operations: what converted ones are compared with.

Each is a state dict under the program's names, filled with random weights, and a function of latents and classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, embedding, interpolate, linear, max_pool2d, normalize

COLOURS, CLASSES = 3, 6


class Store:
    """Makes tensors by name when they are first asked for, so that what runs says what the file holds."""

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}
        self.random = torch.Generator().manual_seed(7)

    def get(self, name: str, *shape: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
        if name not in self.state:
            self.state[name] = torch.randn(shape, generator=self.random) * scale + shift
        return self.state[name]

    def variance(self, name: str, *shape: int) -> Tensor:
        if name not in self.state:  # far from 0: what is divided by its root does not blow up rounding
            self.state[name] = torch.rand(shape, generator=self.random) + 3
        return self.state[name]


class Brock(Store):
    """Layers of BigGAN-PyTorch: one power iteration from u0 divides each weight."""

    def weight(self, layer: str, *shape: int) -> Tensor:
        weight = self.get(f"{layer}.weight", *shape, scale=0.3)
        u = self.get(f"{layer}.u0", 1, shape[0])
        self.get(f"{layer}.sv0", 1)
        matrix = weight.flatten(1)
        v = normalize(u @ matrix)
        return weight / (v @ matrix.T @ normalize(v @ matrix.T).T).squeeze()

    def conv(self, x: Tensor, layer: str, outputs: int, kernel: int, bias: bool = True) -> Tensor:
        weight = self.weight(layer, outputs, x.shape[1], kernel, kernel)
        return conv2d(x, weight, self.get(f"{layer}.bias", outputs, scale=0.1) if bias else None, padding=kernel // 2)

    def dense(self, x: Tensor, layer: str, outputs: int, bias: bool = True) -> Tensor:
        weight = self.weight(layer, outputs, x.shape[1])
        return linear(x, weight, self.get(f"{layer}.bias", outputs, scale=0.1) if bias else None)

    def normal(self, x: Tensor, layer: str) -> Tensor:
        mean = self.get(f"{layer}.stored_mean", x.shape[1], scale=0.3)
        return batch_norm(x, mean, self.variance(f"{layer}.stored_var", x.shape[1]), eps=1e-5)

    def conditional(self, x: Tensor, layer: str, condition: Tensor) -> Tensor:
        if condition.dtype == torch.int64:
            table = [self.get(f"{layer}.{one}.weight", CLASSES, x.shape[1], scale=0.3) for one in ("gain", "bias")]
            gain, bias = (embedding(condition, one) for one in table)
        else:
            gain, bias = (self.dense(condition, f"{layer}.{one}", x.shape[1], bias=False) for one in ("gain", "bias"))
        return self.normal(x, layer) * (1 + gain)[:, :, None, None] + bias[:, :, None, None]

    def attention(self, x: Tensor, layer: str) -> Tensor:
        channels = x.shape[1]
        theta = self.conv(x, f"{layer}.theta", channels // 8, 1, bias=False).flatten(2)
        phi = max_pool2d(self.conv(x, f"{layer}.phi", channels // 8, 1, bias=False), 2).flatten(2)
        g = max_pool2d(self.conv(x, f"{layer}.g", channels // 2, 1, bias=False), 2).flatten(2)
        read = (g @ (theta.transpose(1, 2) @ phi).softmax(-1).transpose(1, 2)).unflatten(2, x.shape[2:])
        return self.get(f"{layer}.gamma", shift=1.0) * self.conv(read, f"{layer}.o", channels, 1, bias=False) + x

    def output(self, x: Tensor) -> Tensor:
        x = self.normal(x, "output_layer.0") * self.get("output_layer.0.gain", x.shape[1], shift=1.0)[:, None, None]
        x = (x + self.get("output_layer.0.bias", x.shape[1])[:, None, None]).relu()
        return torch.tanh(self.conv(x, "output_layer.2", COLOURS, 3))


def brock_generator(
    store: Brock, z: Tensor, label: Tensor, *, shared: int, skip: bool, attention: int | None
) -> Tensor:
    """BigGAN at 32 pixels, width 4."""
    vector = embedding(label, store.get("shared.weight", CLASSES, shared)) if shared else label
    parts = z.chunk(4, 1) if skip else [z]
    x = store.dense(parts[0], "linear", 16 * 16).unflatten(1, (16, 4, 4))
    for block in range(3):
        condition = torch.cat([vector, parts[block + 1]], 1) if skip else vector
        h = interpolate(store.conditional(x, f"blocks.{block}.0.bn1", condition).relu(), scale_factor=2)
        h = store.conv(h, f"blocks.{block}.0.conv1", 16, 3)
        h = store.conv(
            store.conditional(h, f"blocks.{block}.0.bn2", condition).relu(), f"blocks.{block}.0.conv2", 16, 3
        )
        x = h + store.conv(interpolate(x, scale_factor=2), f"blocks.{block}.0.conv_sc", 16, 1)
        if block == attention:
            x = store.attention(x, f"blocks.{block}.1")
    return store.output(x)


def brock_deep_generator(store: Brock, z: Tensor, label: Tensor, *, shared: int, attention: int | None) -> Tensor:
    """BigGAN-deep at 32 pixels, width 4."""
    condition = torch.cat([embedding(label, store.get("shared.weight", CLASSES, shared)), z], 1)
    x = store.dense(condition, "linear", 16 * 16).unflatten(1, (16, 4, 4))
    for block in range(6):
        name = f"blocks.{block}.0"
        h = store.conv(store.conditional(x, f"{name}.bn1", condition).relu(), f"{name}.conv1", 4, 1)
        h = store.conditional(h, f"{name}.bn2", condition).relu()
        if block % 2:
            h, x = interpolate(h, scale_factor=2), interpolate(x, scale_factor=2)
        h = store.conv(h, f"{name}.conv2", 4, 3)
        h = store.conv(store.conditional(h, f"{name}.bn3", condition).relu(), f"{name}.conv3", 4, 3)
        x = store.conv(store.conditional(h, f"{name}.bn4", condition).relu(), f"{name}.conv4", 16, 1) + x
        if block == attention:
            x = store.attention(x, f"blocks.{block}.1")
    return store.output(x)


def _judged(store: Brock, x: Tensor, label: Tensor) -> Tensor:
    h = x.relu().sum((2, 3))
    vector = embedding(label, store.weight("embed", CLASSES, h.shape[1]))
    return (store.dense(h, "linear", 1) + (vector * h).sum(1, keepdim=True)).flatten()


def brock_discriminator(store: Brock, x: Tensor, label: Tensor, *, attention: int | None) -> Tensor:
    """BigGAN's at 32 pixels, width 4: the first two blocks halve."""
    for block in range(4):
        name = f"blocks.{block}.0"
        h = store.conv(x.relu() if block else x, f"{name}.conv1", 16, 3)
        h = store.conv(h.relu(), f"{name}.conv2", 16, 3)
        if block == 0:
            x = store.conv(avg_pool2d(x, 2), f"{name}.conv_sc", 16, 1)
        elif block == 1:
            x = avg_pool2d(store.conv(x, f"{name}.conv_sc", 16, 1), 2)
        x = (avg_pool2d(h, 2) if block < 2 else h) + x
        if block == attention:
            x = store.attention(x, f"blocks.{block}.1")
    return _judged(store, x, label)


def brock_deep_discriminator(store: Brock, x: Tensor, label: Tensor, *, attention: int | None) -> Tensor:
    """BigGAN-deep's at 64 pixels, width 2: channels 2, 4, 8, 16, 32, each stage halves."""
    x = store.conv(x, "input_conv", 2, 3)
    for stage, outputs in enumerate((4, 8, 16, 32)):
        for block in range(2):
            name, hidden = f"blocks.{stage}.{block}", outputs // 4
            h = store.conv(x.relu(), f"{name}.conv1", hidden, 1)
            h = store.conv(h.relu(), f"{name}.conv2", hidden, 3)
            h = store.conv(h.relu(), f"{name}.conv3", hidden, 3).relu()
            if not block:
                h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)
                x = torch.cat([x, store.conv(x, f"{name}.conv_sc", outputs - x.shape[1], 1)], 1)
            x = store.conv(h, f"{name}.conv4", outputs, 1) + x
        if stage == attention:
            x = store.attention(x, f"blocks.{stage}.2")
    return _judged(store, x, label)


class Pretrained(Store):
    """Layers of pytorch-pretrained-BigGAN: torch's spectral norm with both vectors kept, statistics by truncation."""

    def weight(self, layer: str, *shape: int) -> Tensor:
        weight = self.get(f"{layer}.weight_orig", *shape, scale=0.3)
        matrix = weight.flatten(1)
        if f"{layer}.weight_u" not in self.state:  # as of weights that have moved on since
            v = normalize(torch.randn(matrix.shape[1], generator=self.random) + 3 * matrix[0], dim=0)
            u = torch.randn(len(matrix), generator=self.random) * 0.1 + normalize(matrix @ v, dim=0)
            self.state |= {f"{layer}.weight_u": normalize(u, dim=0), f"{layer}.weight_v": v}
        u, v = (self.state[f"{layer}.weight_{side}"] for side in "uv")
        return weight / torch.dot(u, matrix @ v)

    def conv(self, x: Tensor, layer: str, outputs: int, kernel: int, bias: bool = True) -> Tensor:
        weight = self.weight(layer, outputs, x.shape[1], kernel, kernel)
        return conv2d(x, weight, self.get(f"{layer}.bias", outputs, scale=0.1) if bias else None, padding=kernel // 2)

    def normal(self, x: Tensor, layer: str, truncation: float, condition: Tensor | None) -> Tensor:
        rows = (51, x.shape[1])
        number = round(truncation * 50)
        mean = self.get(f"{layer}.running_means", *rows, scale=0.3)[number]
        variance = self.variance(f"{layer}.running_vars", *rows)[number]
        x = batch_norm(x, mean, variance, eps=1e-4)
        if condition is None:
            gain, shift = self.get(f"{layer}.weight", x.shape[1]), self.get(f"{layer}.bias", x.shape[1])
            return x * gain[:, None, None] + shift[:, None, None]
        gain, shift = (
            linear(condition, self.weight(f"{layer}.{one}", x.shape[1], condition.shape[1]))
            for one in ("scale", "offset")
        )
        return x * (1 + gain)[:, :, None, None] + shift[:, :, None, None]


def pretrained(store: Pretrained, z: Tensor, label: Tensor, truncation: float) -> Tensor:
    """BigGAN-deep at 128 pixels, width 2, self-attention before layer 8."""
    vectors = store.get("embeddings.weight", z.shape[1], CLASSES)
    condition = torch.cat([z, vectors.T[label]], 1)
    weight = store.weight("generator.gen_z", 16 * 32, condition.shape[1])
    x = linear(condition, weight, store.get("generator.gen_z.bias", 16 * 32, scale=0.1))
    x = x.view(-1, 4, 4, 32).permute(0, 3, 1, 2)
    layer = 0
    for inputs, outputs in ((16, 16), (16, 8), (8, 4), (4, 2), (2, 1)):
        for doubles in (False, True):
            if layer == 8:
                x = _pretrained_attention(store, x, f"generator.layers.{layer}")
                layer += 1
            after = 2 * (outputs if doubles else inputs)
            x = _pretrained_block(store, x, f"generator.layers.{layer}", after, doubles, condition, truncation)
            layer += 1
    x = store.normal(x, "generator.bn", truncation, None).relu()
    return torch.tanh(store.conv(x, "generator.conv_to_rgb", 4, 3)[:, :3])


def _pretrained_block(
    store: Pretrained, x: Tensor, name: str, outputs: int, doubles: bool, condition: Tensor, truncation: float
) -> Tensor:
    hidden, h = max(x.shape[1] // 4, 1), x
    for number, (channels, kernel) in enumerate(((hidden, 1), (hidden, 3), (hidden, 3), (outputs, 1))):
        h = store.normal(h, f"{name}.bn_{number}", truncation, condition).relu()
        if number == 1 and doubles:
            h = interpolate(h, scale_factor=2)
        h = store.conv(h, f"{name}.conv_{number}", channels, kernel)
    x = x[:, :outputs]
    return h + (interpolate(x, scale_factor=2) if doubles else x)


def _pretrained_attention(store: Pretrained, x: Tensor, name: str) -> Tensor:
    channels = x.shape[1]
    key, value = max(channels // 8, 1), channels // 2
    theta = store.conv(x, f"{name}.snconv1x1_theta", key, 1, bias=False).flatten(2)
    phi = max_pool2d(store.conv(x, f"{name}.snconv1x1_phi", key, 1, bias=False), 2).flatten(2)
    g = max_pool2d(store.conv(x, f"{name}.snconv1x1_g", value, 1, bias=False), 2).flatten(2)
    read = (g @ (theta.transpose(1, 2) @ phi).softmax(-1).transpose(1, 2)).unflatten(2, x.shape[2:])
    return x + store.get(f"{name}.gamma", 1, shift=1.0) * store.conv(
        read, f"{name}.snconv1x1_o_conv", channels, 1, False
    )
