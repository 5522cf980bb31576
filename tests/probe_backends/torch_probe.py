"""PyTorch with a forward pass that holds memory for a moment, or only waits, as its seed says."""

from __future__ import annotations

import time

from nbbench.worker.backends.torch import TorchBackend


class TorchProbeBackend(TorchBackend):
    """``seed`` in MiB, or below 0 in milliseconds."""

    def build(self, case, device):
        model = super().build(case, device)
        torch, amount = self.torch, case.seed
        forward = type(model._model).forward

        def probing(module, input_ids, attention_mask=None):
            if amount > 0:
                held = torch.ones(amount << 18, dtype=torch.float32)
                del held
            if amount < 0:
                time.sleep(-amount / 1000)
                return input_ids + 1
            return forward(module, input_ids, attention_mask=attention_mask)

        model._model.forward = probing.__get__(model._model)
        return model
