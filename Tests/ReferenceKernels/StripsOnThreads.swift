import Foundation
import Synchronization
import TensorKernels

/// One picture cut into strips, each on a thread of its own with a context of its own: what ranks do, without messages.
public struct StripsOnThreads: Sendable {
    /// The first row of each strip, then the picture's height.
    private let borders: [Int]

    /// - Parameter borders: the first row of each strip, then the picture's height.
    public init(_ borders: [Int]) { self.borders = borders }

    /// Calls `body` for every strip at the same time, and gives the results from the top down.
    ///
    /// - Parameter context: makes each strip's context.
    public func callAsFunction(
        context: @escaping @Sendable () throws -> ComputeContext,
        _ body: @escaping @Sendable (_ rows: Range<Int>, _ context: ComputeContext) throws -> Tensor
    ) throws -> [Tensor] {
        let ranks = borders.count - 1
        let meeting = Meeting(ranks: ranks)
        let results = Mutex<[Int: Result<Tensor, any Error>]>([:])
        let finished = DispatchSemaphore(value: 0)
        for rank in 0..<ranks {
            let neighbours = Neighbours(rank: rank, borders: borders, meeting: meeting)
            Thread.detachNewThread {
                let result = Result { try body(neighbours.rows, context().with(neighbours: neighbours)) }
                results.withLock { $0[rank] = result }
                finished.signal()
            }
        }
        for _ in 0..<ranks { finished.wait() }
        return try results.withLock { results in try results.sorted { $0.key < $1.key }.map { try $0.value.get() } }
    }

    private struct Neighbours: StripNeighbours {
        let rank: Int
        let borders: [Int]
        let meeting: Meeting

        var rows: Range<Int> { borders[rank]..<borders[rank + 1] }

        func strip(of x: Tensor) -> Strip {
            precondition(x.shape[0] == rows.count, "\(x.shape) is no strip of rows \(rows)")
            return Strip(rows: rows, height: borders[borders.count - 1])
        }

        func addingBorders(to x: Tensor, above: Int, below: Int, in context: ComputeContext) throws -> Tensor {
            let strip = strip(of: x)
            let wanted = max(0, rows.lowerBound - above)..<min(strip.height, rows.upperBound + below)
            return try gatheringRows(of: x, in: context).rows(wanted, in: context)
        }

        func gatheringRows(of x: Tensor, in context: ComputeContext) throws -> Tensor {
            let values = try inRowOrder(x.floats)
            return Tensor(values, shape: [strip(of: x).height] + x.shape.dropFirst(), as: x.elementType, in: context)
        }

        func inRowOrder<Number: BitwiseCopyable & Sendable>(_ numbers: [Number]) throws -> [Number] {
            try meeting.all(numbers, from: rank).flatMap { $0 }
        }
    }
}

/// Where the threads leave what they give each other.
private final class Meeting: Sendable {
    struct LeftAlone: Error {}

    private struct State {
        /// What was left, by the number of the call and then by rank.
        var left: [Int: [Int: any Sendable]] = [:]
        /// The calls that each rank has made.
        var calls: [Int]
    }

    private let ranks: Int
    private let state: Mutex<State>

    init(ranks: Int) {
        self.ranks = ranks
        state = Mutex(State(calls: [Int](repeating: 0, count: ranks)))
    }

    /// What all ranks gave in this call, by rank.
    func all<Value: Sendable>(_ value: Value, from rank: Int) throws -> [Value] {
        let call = state.withLock { state in
            state.calls[rank] += 1
            state.left[state.calls[rank], default: [:]][rank] = value
            return state.calls[rank]
        }
        // A minute of looking every tenth of a millisecond.
        for _ in 0..<600_000 {
            let values = state.withLock { $0.left[call] ?? [:] }
            if values.count == ranks {
                return values.sorted { $0.key < $1.key }.compactMap { $0.value as? Value }
            }
            usleep(100)
        }
        throw LeftAlone()
    }
}

extension Tensor {
    /// Some rows of a picture.
    public func rows(_ range: Range<Int>, in context: ComputeContext) -> Tensor {
        let row = count / shape[0]
        return Tensor(
            Array(floats[range.lowerBound * row..<range.upperBound * row]), shape: [range.count] + shape.dropFirst(),
            as: elementType, in: context)
    }
}
