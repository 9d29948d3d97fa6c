"""Evaluation in the course of a run: with the weights that are to be kept."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf

from segnet import models
from segnet.config import Config, schedule
from segnet.data import datasets, sources
from segnet.evaluation.evaluate import SplitEvaluation
from segnet.records.manifest import Manifest
from segnet.runtime import distributed
from segnet.runtime.device import Runtime
from segnet.training import build, health
from segnet.training.recalibration import Recalibration
from segnet.training.weight_averages import WeightAverages

__all__ = ["Scorer"]


class Scorer:
    """Scores the network of a run as it would be used."""

    def __init__(
        self,
        config: Config,
        device: Runtime,
        model: tf.keras.Model,
        averages: WeightAverages | None,
        source: sources.RecordSource,
        manifest: Manifest,
    ) -> None:
        """Prepares the forward passes.

        Args:
          config: Of the run.
          device: Where and how to compute.
          model: The network.
          averages: Moving averages of its weights, if the run keeps any; it
            is they that are scored.
          source: Records of the training split, for
            `--recalibrate_batch_norm`.
          manifest: Of the evaluation split.
        """
        self._config = config
        self._model = model
        self._averages = averages
        self._source = source
        with tf.device(device.device_name):
            self._folded = build.build_inference_model(
                config, manifest.num_classes
            )
        self._evaluation = SplitEvaluation(
            build.build_eval_step(config, self._folded, device),
            manifest,
            config,
            pad=build.needs_static_shapes(device),
        )
        self._recalibrate = None
        if config.recalibrate_batch_norm:
            self._recalibrate = Recalibration(
                model,
                device_name=device.device_name,
                reduce_sum=distributed.allreduce_array,
                run_eagerly=config.run_eagerly,
            )

    def share_averages(self) -> None:
        """Gives all workers the same batch norm averages."""
        health.share_averages(self._model.non_trainable_variables)
        if self._averages is not None:
            health.share_averages(self._averages.values)

    def __call__(self) -> dict[str, Any]:
        """Scores the evaluation split; the same result on every worker.

        Raises:
          DataError: If a record is damaged.
        """
        self.share_averages()
        applied = contextlib.nullcontext()
        if self._averages is not None:
            applied = self._averages.applied()
        with applied:
            if self._recalibrate is not None:
                with self._source.explain_damage():
                    self._recalibrate(self._training_images())
            models.fold_batch_norm(self._model, self._folded)
            return self._evaluation()

    def _training_images(self) -> tf.data.Dataset:
        """All training images as they are, this worker's share."""
        stage = schedule.create_pass(
            self._config, self._source.num_records, distributed.size()
        )
        return datasets.create_train_dataset(
            self._source,
            stage,
            start_step=0,
            end_step=stage.end_step,
            augment="none",
            seed=self._config.seed,
            shard_index=distributed.rank(),
            shard_count=distributed.size(),
        )
