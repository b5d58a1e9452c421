import Failures

/// What all ranks of a job did, on one clock.
public struct JobTrace: Sendable {
    let layout: Layout
    /// In the order of the ranks.
    let ranks: [RankTrace]

    package init(layout: Layout, ranks: [RankTrace]) {
        self.layout = layout
        self.ranks = ranks
    }

    /// How many events found no place, on all ranks.
    public var dropped: Int { ranks.reduce(0) { $0 + $1.dropped } }

    /// Writes the trace as Chrome and Perfetto read it, in one step.
    ///
    /// - Throws: `Failure.inputOutput`.
    public func write(to path: String) throws {
        try AtomicFile.write(to: path) { file in
            var writer = TraceWriter(file)
            try writer.write(timeline)
        }
    }

    /// Everything on rank 0's clock, the messages matched and the gaps explained.
    var timeline: Timeline {
        let events = ranks.map { rank in
            rank.events.map { event in
                Timeline.Moment(
                    event: event, start: rank.reference(at: event.start), end: rank.reference(at: event.end))
            }.sorted { $0.start < $1.start }
        }
        let all = events.joined()
        let start = all.map(\.start).min() ?? 0
        let end = all.map(\.end).max() ?? 0
        return Timeline(trace: self, events: events, start: start, end: end)
    }
}

/// A job's events in rank 0's time.
struct Timeline {
    struct Moment {
        let event: TraceEvent
        let start: Int64
        let end: Int64
    }

    /// A message that was seen where it left and where it came.
    struct Flight {
        let source: Int
        let destination: Int
        let sent: Moment
        let received: Moment
    }

    /// A time in which a rank's compute thread had nothing to do.
    struct Gap {
        let start: Int64
        let end: Int64
        /// Whether what ended it was on its way already.
        let isCommunication: Bool
        /// What ended it; nil for the last.
        let next: TraceSubject?
    }

    let trace: JobTrace
    /// Of each rank, by their start.
    let events: [[Moment]]
    let start: Int64
    let end: Int64

    func tasks(of rank: Int) -> [Moment] { events[rank].filter { $0.event.kind == .task } }

    /// Every message's way. Two ranks call a message by one name; those of one name keep their order.
    var flights: [Flight] {
        struct Address: Hashable {
            let source: Int
            let destination: Int
            let subject: TraceSubject
        }
        var sent: [Address: [Moment]] = [:]
        for (rank, moments) in events.enumerated() {
            for moment in moments where moment.event.kind == .sent {
                let address = Address(
                    source: rank, destination: Int(moment.event.peer), subject: moment.event.subject)
                sent[address, default: []].append(moment)
            }
        }
        var taken: [Address: Int] = [:]
        var flights: [Flight] = []
        for (rank, moments) in events.enumerated() {
            for moment in moments where moment.event.kind == .received {
                let address = Address(
                    source: Int(moment.event.peer), destination: rank, subject: moment.event.subject)
                let index = taken[address, default: 0]
                guard let candidates = sent[address], index < candidates.count else { continue }
                taken[address] = index + 1
                flights.append(
                    Flight(
                        source: address.source, destination: rank, sent: candidates[index], received: moment))
            }
        }
        return flights
    }

    /// Where the compute thread of each rank had nothing to do, between the trace's first moment and its last.
    func gaps(_ flights: [Flight]) -> [[Gap]] {
        var sent = [[TraceSubject: Int64]](repeating: [:], count: events.count)
        for flight in flights { sent[flight.destination][flight.sent.event.subject] = flight.sent.start }
        return events.indices.map { gaps(of: $0, sent: sent[$0]) }
    }

    private func gaps(of rank: Int, sent: [TraceSubject: Int64]) -> [Gap] {
        var sent = sent
        var gaps: [Gap] = []
        var last = start
        func add(_ from: Int64, _ to: Int64, _ isCommunication: Bool, _ next: TraceSubject?) {
            if to > from { gaps.append(Gap(start: from, end: to, isCommunication: isCommunication, next: next)) }
        }
        for task in tasks(of: rank) {
            let subject = task.event.subject
            // Work on a picture goes on bit by bit, and only its first bit has an input.
            let departure = sent.removeValue(forKey: subject).map { min(max($0, last), task.start) } ?? task.start
            add(last, departure, false, subject)
            add(departure, task.start, true, subject)
            last = max(last, task.end)
        }
        add(last, end, false, nil)
        return gaps
    }
}
