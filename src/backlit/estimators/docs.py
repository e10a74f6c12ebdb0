"""The part of the docstrings that both estimators share."""

from __future__ import annotations

from typing import Final

PARAMETERS: Final = """hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer.
    activation : str, pair or list, default="relu"
        Of the hidden layers: identity, logistic (= sigmoid), tanh, relu, leaky_relu, elu, gelu, softplus, silu, exp;
        your own pair ``(f, df)`` of functions of z; or a list with one of these for each hidden layer.
    solver : {"adam", "sgd", "lbfgs", "adamw", "rmsprop", "adagrad"}, default="adam"
    alpha : float, default=0.0001
        Weight of the L2 penalty, divided by the rows of each batch (by the sum of their weights).
    batch_size : int or "auto", default="auto"
        "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"} or schedule, default="constant"
        The names as in scikit-learn; "invscaling" and "adaptive" are for sgd. A schedule, such as
        `backlit.CosineDecay`, is a function of the epoch, for every solver but lbfgs, in place of learning_rate_init.
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Epochs; iterations of lbfgs.
    shuffle : bool, default=True
    random_state : int, RandomState or None, default=None
        Of initial values, order of batches, dropout, and the rows that early stopping holds out.
    tol : float, default=1e-4
    verbose : bool, default=False
    warm_start : bool, default=False
        Go on from the last fit, with the optimiser's memory (which scikit-learn forgets): fits of 1 epoch, n times,
        equal one fit of n epochs, bit for bit with one engine.
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
    early_stopping : bool, default=False
        End when the score on X_val, or else on `validation_fraction` of the rows, has stopped improving, and go back
        to the best epoch.
    validation_fraction : float, default=0.1
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
    n_iter_no_change : int, default=10
    max_fun : int, default=15000
    dropout : float or sequence of float, default=0.0
        Rate of dropout after each hidden layer.
    weight_decay : float, default=0.0
        Decoupled from the gradient (AdamW), for adam and adamw.
    clip_norm : float, optional
        Longest gradient allowed.
    scoring : str, callable, list or dict, optional
        Scorers of scikit-learn on the validation rows, in ``history_["val_<name>"]``; early stopping watches the first.
    callbacks : sequence of Callback, optional
    impute_missing : bool, default=False
        Let X have NaN: filled with the feature's mean, with a 0/1 column beside for each feature that had any.
    engine : {"auto", "reference", "compiled"}, default="auto"
        As in `backlit.fit`. Sparse X is trained on either.
    n_threads : int, optional
        Threads that training may use, and those of BLAS elsewhere; see `backlit.fit`."""

ATTRIBUTES: Final = """network_ : Network
        What was trained.
    history_ : History
        One value an epoch: ``loss``, ``learning_rate``, and with validation rows ``val_loss``, the score, and those of
        `scoring`.
    coefs_, intercepts_ : list of ndarray
        Weights (inputs, units) and biases (units,) of each layer: views, so that writing into them changes the network.
    loss_, best_loss_, best_validation_score_ : float
    loss_curve_, validation_scores_ : list of float
    n_iter_, t_, n_layers_, n_outputs_, n_features_in_ : int
    feature_names_in_ : ndarray of str
    out_activation_ : {"identity", "logistic", "softmax", "exp"}"""
