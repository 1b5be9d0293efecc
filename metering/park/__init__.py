"""What a reading means: the park, its meters and their dated relations.

| module | what it holds |
|---|---|
| `dated` | Dated relations: what held when |
| `description` | The form of the park description file (`park.yaml`) |
| `file` | From a park description file (`park.yaml`) to a `Park` |
| `folder` | The folder of park descriptions while a program runs: whether one of them has been edited |
| `model` | The park |
"""
