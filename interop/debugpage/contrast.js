// The texts of a page whose contrast is below 4.5, which WCAG 2.2 asks for in criterion 1.4.3.
(() => {
	const rgb = (color) => (color.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
	const clear = (color) => rgb(color).length === 4 && rgb(color)[3] === 0;
	const luminance = (color) => {
		const [r, g, b] = rgb(color).slice(0, 3).map((v) => v / 255)
			.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ground = (node) => {
		for (let n = node; n; n = n.parentElement) {
			const color = getComputedStyle(n).backgroundColor;
			if (!clear(color)) return color;
		}
		return 'rgb(255, 255, 255)';
	};
	const poor = [];
	for (const node of document.querySelectorAll('body *')) {
		const text = [...node.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE)
			.map((n) => n.data.trim()).join('');
		if (!text || !node.checkVisibility()) continue;
		const [a, b] = [luminance(getComputedStyle(node).color), luminance(ground(node))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${node.tagName} "${text}"`);
	}
	return poor;
})()
