import Foundation
import ShardedRuntime

/// A trace as a picture, in SVG: a lane for each rank, with what it waited for in it, arrows for messages, utilisation
/// at the right, a time axis and a legend.
///
/// Nothing is drawn that could not be seen: spans that share a pixel become one, and of many arrows a part is left.
struct TracePicture {
    private static let plotWidth = 1200.0
    private static let left = 190.0
    private static let right = 210.0
    private static let top = 66.0
    /// The most arrows that leave a picture one can read.
    private static let mostArrows = 400

    private let file: TraceFile
    private let figures: TraceFigures
    private let laneHeight: Double
    private let pitch: Double

    init(_ file: TraceFile) {
        self.file = file
        figures = TraceFigures(file)
        // Many ranks get thin lanes.
        pitch = min(max(1600 / Double(max(file.names.count, 1)), 3), 44)
        laneHeight = pitch * 0.64
    }

    var text: String {
        let height = Self.top + pitch * Double(file.names.count) + 46
        let width = Self.left + Self.plotWidth + Self.right
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Self.short(width))\" height=\"\(Self.short(height))\" "
                + "viewBox=\"0 0 \(Self.short(width)) \(Self.short(height))\" font-family=\"sans-serif\" "
                + "font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
        ]
        parts.append(heading)
        parts.append(legend)
        parts.append(axis)
        for rank in file.names.indices { parts.append(lane(rank)) }
        parts += bars
        parts += arrows
        parts.append("</svg>\n")
        return parts.joined(separator: "\n")
    }

    // MARK: Around the lanes

    private var heading: String {
        let busy = figures.ranks.reduce(0) { $0 + $1.busySeconds } / Double(max(figures.ranks.count, 1))
        let shown = stride(from: 0, to: file.arrows.count, by: arrowStride).underestimatedCount
        var text = "\(file.layout): \(Self.time(figures.seconds)), busy \(Self.percent(figures.share(busy)))"
        text += ", \(Console.count(file.arrows.count, "message"))"
        if shown < file.arrows.count { text += ", every \(arrowStride)th drawn" }
        if file.dropped > 0 { text += "; the last \(file.dropped) events are missing" }
        return label(text, x: Self.left, y: 20, size: 14)
    }

    private var legend: String {
        let entries =
            TraceClass.allCases.map { ($0.rawValue, $0.colour) } + [
                ("input on its way", Self.communicationColour), ("nothing to do", Self.waitingColour),
            ]
        var x = Self.left
        return entries.map { name, colour in
            defer { x += 30 + 7.2 * Double(name.count) }
            return rectangle(x: x, y: 34, width: 12, height: 12, colour) + label(name, x: x + 17, y: 44)
        }.joined(separator: "\n")
    }

    private var axis: String {
        let bottom = Self.top + pitch * Double(file.names.count)
        let step = Self.tick(figures.seconds / 10)
        var parts: [String] = []
        for index in 0...Int(figures.seconds / step) {
            let x = Self.short(position(Double(index) * step))
            parts.append(
                "<line x1=\"\(x)\" x2=\"\(x)\" y1=\"\(Self.short(Self.top - 6))\" y2=\"\(Self.short(bottom))\" "
                    + "stroke=\"#dddddd\"/>")
            parts.append(
                "<text x=\"\(x)\" y=\"\(Self.short(bottom + 16))\" text-anchor=\"middle\">"
                    + "\(Self.time(Double(index) * step))</text>")
        }
        return parts.joined(separator: "\n")
    }

    private func lane(_ rank: Int) -> String {
        let y = laneTop(rank)
        let figures = figures.ranks[rank]
        var parts = [rectangle(x: Self.left, y: y, width: Self.plotWidth, height: laneHeight, Self.waitingColour)]
        if pitch >= 11 {
            let middle = y + laneHeight / 2 + 4
            // The machine's name may be long; the title has all of it.
            let name = file.names[rank]
            let short = name.count > 28 ? name.prefix(27) + "…" : name[...]
            parts.append(
                "<g><title>\(Self.escaped(name))</title>" + label(String(short), x: 6, y: middle) + "</g>")
            let shares = [figures.busySeconds, figures.communicatingSeconds, figures.waitingSeconds].map(
                self.figures.share)
            let x = Self.left + Self.plotWidth + 10
            parts.append(rectangle(x: x, y: y, width: 60, height: laneHeight, Self.waitingColour))
            parts.append(rectangle(x: x, y: y, width: 60 * min(shares[0], 1), height: laneHeight, "#444444"))
            parts.append(
                label("\(Self.percent(shares[0])), \(Self.percent(shares[1])) comm", x: x + 68, y: middle))
        }
        return parts.joined(separator: "\n")
    }

    // MARK: In the lanes

    private static let waitingColour = "#eeeeee"
    private static let communicationColour = "#f0e442"

    /// A bar of one colour, as wide as the pixels that it shares with its like.
    private struct Bar {
        let rank: Int
        let colour: String
        let title: String
        var start: Double
        var end: Double
        var count = 1
    }

    private var bars: [String] {
        var lanes: [Int: [Bar]] = [:]
        for span in file.spans.sorted(by: { $0.start < $1.start }) {
            let colour: String
            switch span.kind {
            case .compute: colour = TraceClass(task: span.name).colour
            case .communicate: colour = Self.communicationColour
            case .wait, .send, .receive: continue
            }
            let bar = Bar(
                rank: span.rank, colour: colour, title: "\(span.name), \(Self.time(span.seconds))",
                start: position(span.start), end: position(span.start + span.seconds))
            Self.add(bar, to: &lanes[span.rank, default: []])
        }
        return lanes.sorted { $0.key < $1.key }.flatMap { $0.value.map(draw) }
    }

    /// Adds a bar to its lane, or to the last one of its colour where there is less than a pixel to tell them apart.
    private static func add(_ bar: Bar, to lane: inout [Bar]) {
        let isThin = bar.end - bar.start < 1
        if let last = lane.last, bar.start - last.end < 0.5, isThin || last.end - last.start < 1 {
            if last.colour == bar.colour {
                lane[lane.count - 1].end = max(last.end, bar.end)
                lane[lane.count - 1].count += 1
                return
            }
            // Of two colours in one pixel, the one that takes more of it.
            if isThin, Int(last.start) == Int(bar.start), last.end - last.start >= bar.end - bar.start {
                lane[lane.count - 1].count += 1
                return
            }
        }
        lane.append(bar)
    }

    private func draw(_ bar: Bar) -> String {
        let title = bar.count > 1 ? "\(bar.count) spans" : bar.title
        return "<rect x=\"\(Self.short(bar.start))\" y=\"\(Self.short(laneTop(bar.rank)))\" "
            + "width=\"\(Self.short(max(bar.end - bar.start, 0.3)))\" height=\"\(Self.short(laneHeight))\" "
            + "fill=\"\(bar.colour)\"><title>\(Self.escaped(title))</title></rect>"
    }

    private var arrowStride: Int { max(1, (file.arrows.count + Self.mostArrows - 1) / Self.mostArrows) }

    private var arrows: [String] {
        guard pitch >= 11 else { return [] }
        let sorted = file.arrows.sorted { $0.sent < $1.sent }
        let lines = stride(from: 0, to: sorted.count, by: arrowStride).map { index in
            let arrow = sorted[index]
            let goesDown = arrow.destination > arrow.source
            let (from, to) = (laneTop(arrow.source), laneTop(arrow.destination))
            let (x1, y1) = (position(arrow.sent), goesDown ? from + laneHeight : from)
            let (x2, y2) = (position(arrow.received), goesDown ? to : to + laneHeight)
            return "<path d=\"M\(Self.short(x1)) \(Self.short(y1))L\(Self.short(x2)) \(Self.short(y2))\" "
                + "marker-end=\"url(#head)\"/>"
        }
        let head =
            "<defs><marker id=\"head\" viewBox=\"0 0 6 6\" refX=\"5\" refY=\"3\" markerWidth=\"5\" markerHeight=\"5\" "
            + "orient=\"auto\"><path d=\"M0 0L6 3L0 6z\" fill=\"#333333\"/></marker></defs>"
        return [head, "<g stroke=\"#333333\" stroke-width=\"0.6\" opacity=\"0.6\">"] + lines + ["</g>"]
    }

    // MARK: Geometry and text

    private func laneTop(_ rank: Int) -> Double { Self.top + pitch * Double(rank) + (pitch - laneHeight) / 2 }

    private func position(_ time: Double) -> Double {
        Self.left + Self.plotWidth * min(max(time / figures.seconds, 0), 1)
    }

    private func rectangle(x: Double, y: Double, width: Double, height: Double, _ colour: String) -> String {
        "<rect x=\"\(Self.short(x))\" y=\"\(Self.short(y))\" width=\"\(Self.short(width))\" "
            + "height=\"\(Self.short(height))\" fill=\"\(colour)\"/>"
    }

    private func label(_ text: String, x: Double, y: Double, size: Double = 12) -> String {
        "<text x=\"\(Self.short(x))\" y=\"\(Self.short(y))\" font-size=\"\(Self.short(size))\">"
            + "\(Self.escaped(text))</text>"
    }

    /// 1, 2 or 5 times a power of ten, the first that is no smaller.
    private static func tick(_ seconds: Double) -> Double {
        let power = pow(10, floor(log10(max(seconds, 1e-9))))
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= seconds } ?? 10 * power
    }

    private static func time(_ seconds: Double) -> String {
        if seconds == 0 { return "0" }
        if seconds < 1e-3 { return String(format: "%.3g µs", seconds * 1e6) }
        if seconds < 1 { return String(format: "%.3g ms", seconds * 1e3) }
        return seconds < 1e3 ? String(format: "%.3g s", seconds) : String(format: "%.0f s", seconds)
    }

    private static func percent(_ share: Double) -> String { String(format: "%.0f %%", 100 * share) }

    private static func short(_ number: Double) -> String {
        let text = String(format: "%.2f", number)
        return text.hasSuffix(".00") ? String(text.dropLast(3)) : text
    }

    /// Text as XML has it; what XML can't have at all is left out.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case _ where scalar.value < 0x20 || scalar.value == 0xfffe || scalar.value == 0xffff: continue
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
