# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Your own pictures
#
# Put pictures into a folder, in any format; sub-folders are classes. If `PICTURES` names no folder, some are drawn
# here, so that everything below can be tried.

# %% tags=["parameters"]
PICTURES = ""  # a folder of yours, such as "photos"
SIZE = 32  # a side, or "64x128" for rectangles: height x width
IMAGES = "60k"
STEPS = 200  # to find a picture among the samples

# %%
from pathlib import Path

from PIL import Image, ImageDraw

if not PICTURES:
    PICTURES = "drawn"
    Path(PICTURES).mkdir(exist_ok=True)
    for number in range(240):
        picture = Image.new("RGB", (48, 40), (235, 235 - number % 60, 220))
        left, top, side = 4 + number * 7 % 20, 4 + number * 5 % 14, 12 + number % 9
        shape = (left, top, left + side, top + side)
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if number % 2 else draw.rectangle)(shape, fill=(number % 200, 90, 200 - number % 150))
        picture.save(f"{PICTURES}/{number:03}.png")

# %% [markdown]
# ## Look at them first
#
# How many are there, are some broken, what do size and cropping make of them, which recipes take them?

# %%
# !ganzoo data "folder:{PICTURES}" --set data.size={SIZE}

# %%
Image.open("contact-sheet.png")

# %% [markdown]
# ## Train
#
# A discriminator soon knows a few hundred pictures by heart. *DiffAugment* changes what it sees, real and made alike,
# so that it cannot. A trained model to start from helps too: `init="dcgan-fashion-mnist"`, if there is one like
# yours.

# %%
import ganzoo

run = ganzoo.train(
    "dcgan",
    data=f"folder:{PICTURES}",
    augment=["diffaugment"],
    set={"data.size": SIZE, "generator.width": 32, "discriminator.width": 32},
    images=IMAGES,
    out="runs/mine",
)

# %%
model = run.model()
model.grid(25, seed=0)

# %% [markdown]
# ## A picture of yours, as the model sees it
#
# Which latents come nearest to a real picture? What is lost on the way is what the generator has not learned.

# %%
real = Image.open(next(path for path in sorted(Path(PICTURES).rglob("*")) if path.suffix in (".png", ".jpg")))
found = model.project(real, steps=STEPS)
print(f"PSNR {found.psnr:.1f} dB")
model.images(found.latents)[0].resize((256, 256), Image.Resampling.NEAREST)

# %% [markdown]
# `ganzoo export runs/mine mine.onnx` writes one file that runs without Python, and `ganzoo push runs/mine user/name`
# shares the model with a card.
