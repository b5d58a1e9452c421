import ShardedRuntime

/// A kind of task, as a trace is summed up and coloured.
enum TraceClass: String, CaseIterable {
    case down = "forward down"
    case up = "forward up"
    case turn = "forward, last stage"
    case gradient
    case pictures

    init(task: String) {
        switch task {
        case "down": self = .down
        case "up": self = .up
        case "down, up": self = .turn
        case "upGradient", "downGradient", "upGradient, downGradient": self = .gradient
        default: self = .pictures
        }
    }

    /// Told apart by those who see no red or no green, too (after Okabe and Ito).
    var colour: String {
        switch self {
        case .down: "#56b4e9"
        case .up: "#0072b2"
        case .turn: "#009e73"
        case .gradient: "#d55e00"
        case .pictures: "#cc79a7"
        }
    }
}

/// What a trace says of each rank, in numbers.
struct TraceFigures {
    struct Rank {
        var busySeconds = 0.0
        var communicatingSeconds = 0.0
        var waitingSeconds = 0.0
        var classSeconds: [TraceClass: Double] = [:]
        var taskCount = 0
    }

    let ranks: [Rank]
    /// From the first event to the last.
    let seconds: Double

    init(_ file: TraceFile) {
        var ranks = [Rank](repeating: Rank(), count: file.names.count)
        for span in file.spans {
            switch span.kind {
            case .compute:
                ranks[span.rank].busySeconds += span.seconds
                ranks[span.rank].taskCount += 1
                ranks[span.rank].classSeconds[TraceClass(task: span.name), default: 0] += span.seconds
            case .communicate: ranks[span.rank].communicatingSeconds += span.seconds
            case .wait: ranks[span.rank].waitingSeconds += span.seconds
            case .send, .receive: break
            }
        }
        self.ranks = ranks
        seconds = max(file.seconds, 1e-9)
    }

    func share(_ seconds: Double) -> Double { seconds / self.seconds }
}
