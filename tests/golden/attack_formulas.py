"""Attacks on one picture, [1, 3, h, w], written in PyTorch from the published formulas. Imports no jaxviz."""

import math

import numpy as np
import torch


def array(value: torch.Tensor) -> np.ndarray:
    return value.detach().numpy()[0].transpose(1, 2, 0)


def derivative(x: torch.Tensor, function) -> torch.Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x)[0]


def score(model, label):
    return lambda x: model(x)["logits"][0, label]


def cross_entropy(model, label):
    return lambda x: torch.nn.functional.cross_entropy(model(x)["logits"], torch.tensor([label]))


def fgsm(model, x, label, epsilon=8 / 255):
    return array((x + epsilon * derivative(x, cross_entropy(model, label)).sign()).clamp(0, 1))


def ifgsm(model, x, label, epsilon=8 / 255, alpha=1 / 255, steps=10):
    loss, point, points = cross_entropy(model, label), x, [x]
    for _ in range(steps):
        point = point + alpha * derivative(point, loss).sign()
        point = torch.minimum(torch.maximum(point, x - epsilon), x + epsilon).clamp(0, 1)
        points.append(point)
    with torch.no_grad():
        return array(max(points, key=lambda p: loss(p).item()))


def kept(point, x, epsilon):
    return torch.minimum(torch.maximum(point, x - epsilon), x + epsilon).clamp(0, 1)


def lowest(loss, points):
    with torch.no_grad():
        return array(max(points, key=lambda p: loss(p).item()))


def pgd(model, x, label, epsilon=8 / 255, steps=10):
    loss, points = cross_entropy(model, label), [x]
    for _ in range(steps):
        step = 2.5 * epsilon / steps * derivative(points[-1], loss).sign()
        points.append(kept(points[-1] + step, x, epsilon))
    return lowest(loss, points)


def mifgsm(model, x, label, epsilon=8 / 255, steps=10):
    loss, points, total = cross_entropy(model, label), [x], torch.zeros_like(x)
    for _ in range(steps):
        g = derivative(points[-1], loss)
        total = total + g / g.abs().sum()
        points.append(kept(points[-1] + epsilon / steps * total.sign(), x, epsilon))
    return lowest(loss, points)


def nifgsm(model, x, label, epsilon=8 / 255, steps=10):
    loss, point, total = cross_entropy(model, label), x, torch.zeros_like(x)
    for _ in range(steps):
        g = derivative(kept(point + epsilon / steps * total, x, epsilon), loss)
        total = total + g / g.abs().sum()
        point = kept(point + epsilon / steps * total.sign(), x, epsilon)
    return array(point)


def apgd(model, x, label, epsilon=8 / 255, steps=30):
    """Algorithm 1 of Croce and Hein (2020), by its indices."""
    loss = cross_entropy(model, label)
    shares = [0.0, 0.22]
    while shares[-1] <= 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    looks = [math.ceil(round(share * steps, 9)) for share in shares if share <= 1]
    eta, points, values = 2 * epsilon, [x], [loss(x).item()]
    best, most, halved, most_before = x, values[0], True, values[0]
    before, last = x, 0
    for k in range(steps + 1):
        if k in looks and k > 0:
            risen = sum(values[i + 1] > values[i] for i in range(last, k))
            halve = risen < 0.75 * (k - last) or (not halved and most == most_before)
            if halve:
                eta, points[-1], values[-1] = eta / 2, best, most
            halved, most_before, last = halve, most, k
        point = points[-1]
        ahead = kept(point + eta * derivative(point, loss).sign(), x, epsilon)
        share = 0.75 if k else 1.0
        before, point = (
            point,
            kept(point + share * (ahead - point) + (1 - share) * (point - before), x, epsilon),
        )
        points.append(point)
        values.append(loss(point).item())
        if values[-1] > most and k < steps:
            best, most = point, values[-1]
    return array(best)


def errs(model, point, label):
    with torch.no_grad():
        return int(model(point)["logits"].argmax()) != label


def fooling(model, x, label, size=0.5, steps=200):
    point = x
    for _ in range(steps):
        if errs(model, point, label):
            break
        g = derivative(point, score(model, label))
        point = (point - size * g / g.norm()).clamp(0, 1)
    return array(point)


def deepfool(model, x, label, candidates=10, overshoot=0.02, steps=50):
    with torch.no_grad():
        scores = model(x)["logits"][0].clone()
    scores[label] = -torch.inf
    rivals = [int(k) for k in scores.argsort(descending=True)[:candidates]]
    point = x
    for _ in range(steps):
        if errs(model, point, label):
            break
        ways = []
        for rival in rivals:
            w = derivative(
                point, lambda p, rival=rival: model(p)["logits"][0, rival] - model(p)["logits"][0, label]
            )
            with torch.no_grad():
                found = model(point)["logits"][0]
            ways.append((((found[rival] - found[label]).abs() + 1e-4) / w.norm(), w / w.norm()))
        length, direction = min(ways, key=lambda way: way[0].item())
        point = (point + (1 + overshoot) * length * direction).clamp(0, 1)
    return array(point)


def minimum(model, x, label, largest=8 / 255, steps=4, searches=4):
    loss = cross_entropy(model, label)

    def attack(epsilon):
        points = [x]
        for _ in range(steps):
            if errs(model, points[-1], label):
                return points[-1], True
            step = 2.5 * epsilon / steps * derivative(points[-1], loss).sign()
            points.append(kept(points[-1] + step, x, epsilon))
        if errs(model, points[-1], label):
            return points[-1], True
        with torch.no_grad():
            return max(points, key=lambda p: loss(p).item()), False

    best, fooled = attack(largest)
    if not fooled:
        return array(best)
    low, high = 0.0, min(largest, (best - x).abs().max().item())
    for _ in range(searches):
        middle = (low + high) / 2
        found, fooled = attack(middle)
        distance = (found - x).abs().max().item()
        if not fooled:
            low = middle
            continue
        if distance <= high:
            best = found
        high = min(distance, middle)
    return array(best)


def cw(model, x, label, constant=0.02, searches=3, steps=12, rate=0.01):
    start = torch.atanh((2 * x - 1) * (1 - 1e-6))
    best, least, low, high = x, torch.inf, 0.0, torch.inf
    for _ in range(searches):
        z, near = start.detach().clone().requires_grad_(), torch.inf
        adam = torch.optim.Adam([z], lr=rate)
        for _ in range(steps):
            image = (torch.tanh(z) + 1) / 2
            scores = model(image)["logits"][0]
            others = torch.cat([scores[:label], scores[label + 1 :]])
            gap = scores[label] - others.max()
            distance = ((image - x) ** 2).sum()
            if gap < 0 and distance < near:
                near = distance.item()
                if near < least:
                    best, least = image.detach(), near
            adam.zero_grad()
            (distance + constant * gap.clamp(min=0)).backward()
            adam.step()
        low, high = (low, constant) if near < torch.inf else (constant, high)
        constant = (low + high) / 2 if high < torch.inf else 10 * constant
    return array(best)
