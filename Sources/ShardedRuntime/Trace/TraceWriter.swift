import DiffusionModels
import Failures

/// Writes a timeline in Chrome's trace format, an event a line, so that a reader needs no more than a line at a time.
///
/// A process for each rank, with a thread for each lane; times in microseconds from the first event.
struct TraceWriter {
    private static let flushBytes = 1 << 20

    private let file: AtomicFile.Writer
    private var buffer = ""
    private var isFirst = true

    init(_ file: AtomicFile.Writer) { self.file = file }

    mutating func write(_ timeline: Timeline) throws {
        let trace = timeline.trace
        try append(head(trace))
        let flights = timeline.flights
        let gaps = timeline.gaps(flights)
        for rank in trace.ranks.indices {
            try name(rank, trace)
            for task in timeline.tasks(of: rank) { try write(task, rank, trace.layout, timeline.start) }
            for gap in gaps[rank] { try write(gap, rank, timeline.start) }
            try write(.sent, timeline, rank)
            try write(.received, timeline, rank)
        }
        for (number, flight) in flights.enumerated() { try write(flight, number, timeline.start) }
        try append("\n]}\n")
        try flush()
    }

    // MARK: Parts

    private func head(_ trace: JobTrace) -> String {
        let clocks = trace.ranks.enumerated().map { rank, trace in
            let first = trace.readings.first
            let drift = (trace.readings.last?.offset ?? 0) - (first?.offset ?? 0)
            return "{\"rank\":\(rank),\"host\":\(Self.quoted(trace.hostName))"
                + ",\"offset_us\":\(Self.microseconds(first?.offset ?? 0)),\"drift_us\":\(Self.microseconds(drift))"
                + ",\"round_trip_us\":\(Self.microseconds(first?.roundTrip ?? 0)),\"dropped\":\(trace.dropped)}"
        }
        return "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"format\":\"\(TraceFormat.name)\""
            + ",\"ranks\":\(trace.ranks.count),\"layout\":\(Self.quoted(trace.layout.description))"
            + ",\"dropped\":\(trace.dropped),\"clocks\":[\(clocks.joined(separator: ","))]},\"traceEvents\":[\n"
    }

    private mutating func name(_ rank: Int, _ trace: JobTrace) throws {
        var name = "rank \(rank) on \(trace.ranks[rank].hostName)"
        if let place = trace.layout.place(of: rank) {
            name += ", \(trace.layout.stages[place.stage].rungText)"
            if trace.layout.replicas > 1 { name += ", replica \(place.replica)" }
        }
        let place = "\"pid\":\(rank)"
        try event("\"ph\":\"M\",\(place),\"name\":\"process_name\",\"args\":{\"name\":\(Self.quoted(name))}")
        try event("\"ph\":\"M\",\(place),\"name\":\"process_sort_index\",\"args\":{\"sort_index\":\(rank)}")
        for lane in TraceFormat.Lane.allCases {
            let place = "\(place),\"tid\":\(lane.rawValue)"
            try event("\"ph\":\"M\",\(place),\"name\":\"thread_name\",\"args\":{\"name\":\"\(lane)\"}")
            try event("\"ph\":\"M\",\(place),\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":\(lane.rawValue)}")
        }
    }

    private mutating func write(_ task: Timeline.Moment, _ rank: Int, _ layout: Layout, _ origin: Int64) throws {
        let subject = task.event.subject
        var arguments = Self.arguments(subject)
        var name = subject.name
        if case .leg(let leg) = subject.content, let place = layout.place(of: rank) {
            arguments +=
                ",\"leg\":\"\(leg)\",\"rungs\":\"\(layout.stages[place.stage].lowerBound)..\(layout.stages[place.stage].upperBound - 1)\""
            // Where the ladder ends, one task goes both ways.
            if place.stage == layout.stages.count - 1 {
                name = leg.isGradient ? "upGradient, downGradient" : "down, up"
            }
        }
        try span(.compute, rank, name, task.start - origin, task.end - task.start, arguments)
    }

    private mutating func write(_ gap: Timeline.Gap, _ rank: Int, _ origin: Int64) throws {
        let name = gap.isCommunication ? TraceFormat.communication : TraceFormat.waiting
        let arguments = gap.next.map { "\"for\":\"\($0.name)\"," + Self.arguments($0) } ?? ""
        try span(.wait, rank, name, gap.start - origin, gap.end - gap.start, arguments)
    }

    /// Messages of one lane. They are sent by several threads: what would overlap is cut short.
    private mutating func write(_ kind: TraceEvent.Kind, _ timeline: Timeline, _ rank: Int) throws {
        let moments = timeline.events[rank].filter { $0.event.kind == kind }
        for (index, moment) in moments.enumerated() {
            let limit = index + 1 < moments.count ? moments[index + 1].start : moment.end
            let arguments =
                Self.arguments(moment.event.subject) + ",\"bytes\":\(moment.event.bytes),"
                + (kind == .sent ? "\"to\":" : "\"from\":") + "\(moment.event.peer)"
            try span(
                kind == .sent ? .send : .receive, rank, moment.event.subject.name, moment.start - timeline.start,
                max(0, min(moment.end, limit) - moment.start), arguments)
        }
    }

    private mutating func write(_ flight: Timeline.Flight, _ number: Int, _ origin: Int64) throws {
        let common = "\"cat\":\"message\",\"name\":\"\(flight.sent.event.subject.name)\",\"id\":\(number)"
        func place(_ rank: Int, _ lane: TraceFormat.Lane, _ time: Int64) -> String {
            "\"pid\":\(rank),\"tid\":\(lane.rawValue),\"ts\":\(Self.microseconds(time - origin))"
        }
        try event("\"ph\":\"s\",\(common),\(place(flight.source, .send, flight.sent.start))")
        try event("\"ph\":\"f\",\"bp\":\"e\",\(common),\(place(flight.destination, .receive, flight.received.start))")
    }

    // MARK: Text

    private mutating func span(
        _ lane: TraceFormat.Lane, _ rank: Int, _ name: String, _ start: Int64, _ length: Int64, _ arguments: String
    ) throws {
        try event(
            "\"ph\":\"X\",\"pid\":\(rank),\"tid\":\(lane.rawValue),\"cat\":\"\(lane)\",\"name\":\"\(name)\",\"ts\":"
                + "\(Self.microseconds(start)),\"dur\":\(Self.microseconds(length)),\"args\":{\(arguments)}")
    }

    private mutating func event(_ fields: String) throws {
        try append((isFirst ? "{" : ",\n{") + fields + "}")
        isFirst = false
    }

    private mutating func append(_ text: String) throws {
        buffer += text
        if buffer.utf8.count >= Self.flushBytes { try flush() }
    }

    private mutating func flush() throws {
        try file.write(buffer)
        buffer = ""
    }

    private static func arguments(_ subject: TraceSubject) -> String {
        var text = "\"job\":\(subject.job)"
        if let branch = subject.branch { text += ",\"branch\":\"\(branch)\"" }
        if subject.isOfPass { text += ",\"pass\":\(subject.number)" }
        return text
    }

    /// Exact, and valid where a floating-point number's text might not be.
    static func microseconds(_ nanoseconds: Int64) -> String {
        let (whole, rest) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
        let digits = String(rest)
        return (nanoseconds < 0 ? "-" : "") + "\(whole)." + String(repeating: "0", count: 3 - digits.count) + digits
    }

    /// A string as JSON has it.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// What a trace's writer and its reader agree on.
enum TraceFormat {
    static let name = "pilot-trace-1"
    static let waiting = "wait"
    static let communication = "communicate"

    /// A row of a rank; the number is that of the thread.
    enum Lane: Int, CaseIterable {
        case compute = 0
        case send, receive, wait
    }
}

extension TraceSubject {
    var name: String {
        switch content {
        case .leg(let leg): "\(leg)"
        case .picture(let work): "\(work)"
        case .result(let isGradient): isGradient ? "gradient" : "noise"
        case .pictureDone(let work): "\(work) done"
        case .open: "open"
        case .close: "close"
        case .discard: "discard"
        case .discardReturned: "discard returned"
        case .order: "job"
        case .orderDone: "job done"
        }
    }

    fileprivate var isOfPass: Bool {
        switch content {
        case .leg, .result, .discard, .discardReturned: true
        default: false
        }
    }
}
