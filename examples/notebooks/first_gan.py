# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A first GAN
#
# A **generator** makes pictures of random numbers, its latents. A **discriminator** is shown real pictures and made
# ones and says which is which. Each learns from the other: that is the whole game. Here it is played on ten thousand
# small pictures of clothes that come with the package, on whatever this machine has, a few minutes on two cores of a
# CPU.

# %% tags=["parameters"]
IMAGES = "100k"  # real pictures that the discriminator sees; more is better
MORE = "100k"  # for the second game

# %%
import ganzoo

run = ganzoo.train("dcgan", images=IMAGES, out="runs/first")

# %% [markdown]
# The figure above is brought up to date while training goes on: the same 64 latents all the way, and both losses.
# They do not fall as those of a classifier do, for each player's loss is the other's success; look at the pictures.
#
# A run folder holds everything. Run the cell again, and it goes on where it was, or says that it is finished.

# %%
model = run.model()
model

# %%
model.grid(25, seed=1)

# %% [markdown]
# Latents that lie near each other make pictures that look alike. A walk from one to another, and what changes most:

# %%
from ganzoo.models import grid

samples = model.interpolate(4, steps=8, seed=2)
grid(samples, model.target, columns=8)

# %%
latents = model.latents(seed=3)
directions = model.directions(count=3)
moved = [model.images(directions.shifted(latents, 1, strength))[0] for strength in (-3, -1.5, 0, 1.5, 3)]
moved[0], moved[2], moved[4]

# %% [markdown]
# ## Change one part
#
# Every part of the game is a name, and `ganzoo.list()` says which there are. Another loss, another optimiser, labels:

# %%
ganzoo.list("loss")

# %%
other = ganzoo.train("dcgan", loss="hinge", images=MORE, out="runs/hinge", set={"generator.conditional": True})
other.model().grid(10, seed=1)

# %% [markdown]
# With labels each sample can be asked for by name: `other.model().images(4, label="Sneaker")`.
#
# Go on with your own pictures (`your_own_pictures`), or write a loss of your own (`write_a_loss`).
