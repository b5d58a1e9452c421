import Foundation
import ReferenceKernels
import TensorKernels
import Testing

/// y = x g(x) with 0 <= g <= 1: an error of some units in the last place of g gives one of as many epsilons of x. The
/// slopes add a term of the same kind.
private let tolerance = 4 * Double(Float.ulpOfOne)

extension Activation {
    fileprivate func reference(_ x: DoubleTensor) -> DoubleTensor {
        switch self {
        case .silu: x.silu
        case .gelu: x.gelu
        case .quickGELU: x.quickGELU
        }
    }

    fileprivate func reference(_ x: Double) -> Double { reference(DoubleTensor([x], shape: [1])).values[0] }

    fileprivate func referenceSlope(_ x: Double) -> Double {
        let step = 1e-5
        return (reference(x + step) - reference(x - step)) / (2 * step)
    }
}

@Suite struct ActivationTests {
    /// Steps of 1/32 from -40 to 40, their thousandths, and counts that leave every tail.
    private let points: [Float] = (-1280...1280).map { Float($0) / 32 } + (-1280...1280).map { Float($0) / 32000 }

    @Test(arguments: Activation.allCases)
    func valuesAndSlopes(activation: Activation) {
        let expected = points.map { activation.reference(Double($0)) }
        let slopes = points.map { activation.referenceSlope(Double($0)) }
        for context in ComputeContext.ofAllInstructionSets() {
            let x = Tensor(points, shape: [points.count], in: context)
            let y = activation(x, in: context).floats
            let dy = Tensor([Float](repeating: 1, count: points.count), shape: [points.count], in: context)
            let dx = activation.gradient(x, dy, in: context).floats
            for (index, point) in points.enumerated() {
                #expect(
                    abs(Double(y[index]) - expected[index]) <= tolerance * Double(abs(point)),
                    "\(context.instructionSetName): \(activation)(\(point)) = \(y[index])")
                // The numerical slope itself is good to 1e-9.
                #expect(
                    abs(Double(dx[index]) - slopes[index]) <= tolerance * (1 + Double(abs(point))) + 1e-9,
                    "\(context.instructionSetName): \(activation)'(\(point)) = \(dx[index])")
            }
        }
    }

    @Test(arguments: [1, 3, 15, 16, 17, 511, 512, 513, 1030])
    func tailsOfEveryLength(count: Int) {
        let x = DoubleTensor(normal: [count], seed: 1, deviation: 3)
        let dy = DoubleTensor(normal: [count], seed: 2)
        for context in ComputeContext.ofAllInstructionSets() {
            for activation in Activation.allCases {
                #expect(
                    activation(x.tensor(in: context), in: context).relativeError(to: activation.reference(x)) < 1e-6)
                let slopes = x.map { activation.referenceSlope($0) }
                let dx = DoubleTensor(zip(dy.values, slopes.values).map { $0 * $1 }, shape: [count])
                let gradient = activation.gradient(x.tensor(in: context), dy.tensor(in: context), in: context)
                #expect(gradient.relativeError(to: dx) < 1e-6)
            }
            let sum = x.tensor(in: context).adding(dy.tensor(in: context), in: context)
            #expect(sum.floats == zip(x.floats, dy.floats).map { $0 + $1 })
        }
    }

    /// GELU and SiLU are 0 far below and x far above 0; zeros keep their sign; subnormal numbers are halved.
    @Test func extremes() {
        let tiny = Float.leastNonzeroMagnitude * 1024
        let points: [Float] = [-1e38, -1e10, -1000, -100, -20, -0.0, 0, tiny, -tiny, 20, 100, 1e30]
        for context in ComputeContext.ofAllInstructionSets() {
            for activation in Activation.allCases {
                let x = Tensor(points, shape: [points.count], in: context)
                let y = activation(x, in: context).floats
                for (point, value) in zip(points, y) where abs(point) >= 20 {
                    #expect(
                        abs(value - max(point, 0)) <= 1e-7 * max(point, 1), "\(activation)(\(point)) = \(value)")
                }
                #expect(y[5] == 0 && y[5].sign == .minus && y[6] == 0 && y[6].sign == .plus)
                #expect(y[7] == tiny / 2 && y[8] == -tiny / 2)
                let slopes = activation.gradient(
                    x, Tensor([Float](repeating: 1, count: points.count), shape: [points.count], in: context),
                    in: context
                ).floats
                for (point, slope) in zip(points, slopes) {
                    let expected: Float = abs(point) < 1 ? 0.5 : point < 0 ? 0 : 1
                    #expect(abs(slope - expected) <= 1e-6, "\(activation)'(\(point)) = \(slope)")
                }
            }
        }
    }

    @Test func notANumberStaysThat() {
        for context in ComputeContext.ofAllInstructionSets() {
            let values = (0..<20).map { $0 % 7 == 3 ? Float.nan : Float($0) - 10 }
            let x = Tensor(values, shape: [20], in: context)
            for activation in Activation.allCases {
                #expect(activation(x, in: context).floats.map(\.isNaN) == values.map(\.isNaN))
                let one = Tensor([Float](repeating: 1, count: 20), shape: [20], in: context)
                #expect(activation.gradient(x, one, in: context).floats.map(\.isNaN) == values.map(\.isNaN))
            }
            #expect(!x.isFinite)
        }
    }

    @Test(arguments: [(1, 1), (3, 7), (5, 16), (2, 700)])
    func gatedGELU(rows: Int, width: Int) {
        let x = DoubleTensor(normal: [rows, 2 * width], seed: 3, deviation: 2)
        let dy = DoubleTensor(normal: [rows, width], seed: 4)
        let direction = DoubleTensor(normal: [rows, 2 * width], seed: 5)
        let slope = directionalDerivative(of: { $0.gatedGELU }, at: x, along: direction, against: dy)
        for context in ComputeContext.ofAllInstructionSets() {
            let input = x.tensor(in: context)
            #expect(GatedGELU.forward(input, in: context).relativeError(to: x.gatedGELU) < 1e-6)
            let dx = DoubleTensor(
                GatedGELU.gradient(input, dy.tensor(in: context), in: context).floats, shape: x.shape)
            #expect(abs(dx.dot(direction) - slope) < 2e-6 * dx.norm)
        }
    }

    @Test func sameBitsOnAnyThreads() throws {
        let x = DoubleTensor(normal: [7, 166], seed: 6)
        let dy = DoubleTensor(normal: [7, 166], seed: 7)
        let half = dy.channels(0..<83)
        #expect(
            ComputeContext.givesSameBitsOnAnyThreads { context in
                let (x, dy) = (x.tensor(in: context), dy.tensor(in: context))
                return Activation.allCases.flatMap { [$0(x, in: context), $0.gradient(x, dy, in: context)] } + [
                    GatedGELU.forward(x, in: context),
                    GatedGELU.gradient(x, half.tensor(in: context), in: context), x.adding(dy, in: context),
                ]
            })
    }
}
