"""Finds texts of a page that are hard to read."""

CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const pixel = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return { rgb: [r, g, b], alpha: a / 255 };
    };
    const over = (top, bottom) => top.rgb.map((c, i) => c * top.alpha + bottom[i] * (1 - top.alpha));
    const behind = (element) => {
        if (!element) return [255, 255, 255];
        const style = getComputedStyle(element);
        const gradient = /rgb[^)]*\\)/.exec(style.backgroundImage);
        if (gradient) return pixel(gradient[0]).rgb;
        const own = pixel(style.backgroundColor);
        return own.alpha === 1 ? own.rgb : over(own, behind(element.parentElement));
    };
    const linear = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const poor = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        const element = walker.currentNode.parentElement;
        if (!text || !element.checkVisibility({ visibilityProperty: true })) continue;
        if (element.closest(":disabled, .visually-hidden, option, script, noscript")) continue;
        const back = behind(element);
        const front = over(pixel(getComputedStyle(element).color), back);
        const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) poor.push(`${element.className || element.tagName}: ${text} ${ratio.toFixed(2)}`);
    }
    return [...new Set(poor)];
}"""
"""A function of JavaScript: the texts with a contrast below 4.5 to 1 to what is behind them (WCAG 2.2, AA)."""
