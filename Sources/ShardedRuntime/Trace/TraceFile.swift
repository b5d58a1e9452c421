import DiffusionModels
import Failures

/// A trace read back from its file, whoever may have had it in hand meanwhile.
public struct TraceFile: Sendable {
    /// Something that took time on a rank.
    public struct Span: Sendable {
        public let rank: Int
        public let kind: Kind
        /// The task, or what the message brings.
        public let name: String
        /// In seconds from the first event.
        public let start: Double
        public let seconds: Double
    }

    public enum Kind: String, Sendable, CaseIterable {
        case compute, send, receive
        /// There was nothing to do.
        case wait
        /// The next task's input was on its way.
        case communicate
    }

    /// The way of a message.
    public struct Arrow: Sendable {
        public let source: Int
        public let destination: Int
        public let sent: Double
        public let received: Double
    }

    /// What each rank calls itself.
    public private(set) var names: [String]
    /// `replicas=1,branches=2,stages=3`
    public let layout: String
    /// How many events found no place when the trace was taken.
    public let dropped: Int
    public private(set) var spans: [Span] = []
    public private(set) var arrows: [Arrow] = []
    /// The bytes that each rank sent.
    public private(set) var sentBytes: [Double]
    /// When the last span ends.
    public private(set) var seconds = 0.0

    static let mostRanks = 65_536
    static let mostEvents = 20_000_000
    private static let longestSeconds = 1e9
    private static let advice = "; expected a file that --trace wrote"

    /// Of messages whose end is still to come.
    private var open: [Int: (rank: Int, time: Double)] = [:]

    /// - Throws: `Failure` of missing input, or of bad data that names the line and what is wrong there.
    public init(_ path: String) throws {
        var lines = try TraceLines(path)
        let head = try lines.next().flatMap { try Self.head($0, path) }
        guard let head else { throw Failure.badData("\(path): is empty\(Self.advice)") }
        (names, layout, dropped) = ((0..<head.ranks).map { "rank \($0)" }, head.layout, head.dropped)
        sentBytes = [Double](repeating: 0, count: head.ranks)
        var isEnded = false
        while let line = try lines.next() {
            if line == Array("]}".utf8) {
                isEnded = true
                break
            }
            guard lines.number <= Self.mostEvents else {
                throw Failure.badData("\(path): more than \(Self.mostEvents) events, which is more than can be shown")
            }
            let place = "\(path): line \(lines.number)"
            let text = line.last == UInt8(ascii: ",") ? Array(line.dropLast()) : line
            try take(Event(try OrderedJSON(parsing: text, file: place, advice: Self.advice), at: place))
        }
        guard isEnded else {
            throw Failure.badData("\(path): ends early, after line \(lines.number): the closing ]} is missing")
        }
        guard try lines.next() == nil else {
            throw Failure.badData("\(path): line \(lines.number): goes on after its end\(Self.advice)")
        }
        guard open.isEmpty else {
            throw Failure.badData("\(path): \(open.count) messages are sent and never received\(Self.advice)")
        }
    }

    private static func head(
        _ line: [UInt8], _ path: String
    ) throws -> (ranks: Int, layout: String, dropped: Int) {
        // The line opens what the last one closes.
        let json = try OrderedJSON(
            parsing: line + Array("]}".utf8), file: "\(path): line 1", advice: advice)
        let format = json["otherData"]?["format"]
        guard format?.string == TraceFormat.name else {
            throw Failure.badData(
                file: "\(path): line 1", key: "otherData.format",
                expected: "\"\(TraceFormat.name)\", as --trace writes",
                found: format?.summary ?? "nothing")
        }
        func number(_ key: String, _ range: ClosedRange<Double>) throws -> Int {
            let value = json["otherData"]?[key]
            guard let number = value?.double, range.contains(number), number == number.rounded() else {
                throw Failure.badData(
                    file: "\(path): line 1", key: "otherData.\(key)",
                    expected: "a whole number up to \(Int(range.upperBound))", found: value?.summary ?? "nothing")
            }
            return Int(number)
        }
        return (
            try number("ranks", 1...Double(mostRanks)), json["otherData"]?["layout"]?.string ?? "",
            try number("dropped", 0...1e15)
        )
    }

    private mutating func take(_ event: Event) throws {
        switch event.phase {
        case "M":
            guard try event.text("name") == "process_name" else { return }
            names[try rank(event)] = try event.text("name", in: "args")
        case "X":
            let start = try event.number("ts", in: 0...Self.longestSeconds * 1e6) / 1e6
            let length = try event.number("dur", in: 0...Self.longestSeconds * 1e6) / 1e6
            let (category, name) = (try event.text("cat"), try event.text("name"))
            guard let kind = Kind(rawValue: category == "wait" ? name : category) else {
                throw event.unexpected("cat", "compute, send, receive or wait, which is wait or communicate")
            }
            let rank = try rank(event)
            spans.append(Span(rank: rank, kind: kind, name: name, start: start, seconds: length))
            if kind == .send { sentBytes[rank] += try event.number("bytes", of: "args", in: 0...1e18) }
            seconds = max(seconds, start + length)
        case "s":
            let number = Int(try event.number("id", in: 0...1e15))
            let start = (rank: try rank(event), time: try event.number("ts", in: 0...Self.longestSeconds * 1e6) / 1e6)
            guard open.updateValue(start, forKey: number) == nil else { throw event.unexpected("id", "one of its own") }
        case "f":
            guard let start = open.removeValue(forKey: Int(try event.number("id", in: 0...1e15))) else {
                throw event.unexpected("id", "that of a message sent before")
            }
            arrows.append(
                Arrow(
                    source: start.rank, destination: try rank(event), sent: start.time,
                    received: try event.number("ts", in: -Self.longestSeconds * 1e6...Self.longestSeconds * 1e6) / 1e6))
        default: throw event.unexpected("ph", "M, X, s or f")
        }
    }

    private func rank(_ event: Event) throws -> Int {
        Int(try event.number("pid", in: 0...Double(names.count - 1)))
    }
}

/// One line of a trace.
private struct Event {
    let json: OrderedJSON
    let place: String
    let phase: String

    init(_ json: OrderedJSON, at place: String) throws {
        self.json = json
        self.place = place
        guard let phase = json["ph"]?.string else {
            throw Failure.badData(
                file: place, key: "ph", expected: "the kind of event", found: json["ph"]?.summary ?? json.summary)
        }
        self.phase = phase
    }

    func text(_ key: String, in object: String? = nil) throws -> String {
        guard let text = value(key, object)?.string else { throw unexpected(key, in: object, "a text") }
        return text
    }

    func number(_ key: String, of object: String? = nil, in range: ClosedRange<Double>) throws -> Double {
        guard let number = value(key, object)?.double, range.contains(number) else {
            throw unexpected(key, in: object, "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func unexpected(_ key: String, in object: String? = nil, _ expected: String) -> Failure {
        .badData(
            file: place, key: [object, key].compactMap { $0 }.joined(separator: "."), expected: expected,
            found: value(key, object)?.summary ?? "nothing")
    }

    private func value(_ key: String, _ object: String?) -> OrderedJSON? {
        (object.map { json[$0] } ?? json)?[key]
    }
}

extension OrderedJSON {
    fileprivate var double: Double? {
        if case .number(let spelling) = self { Double(spelling) } else { nil }
    }
}
