import Foundation

/// The betas of a configuration and their cumulative alphas, as diffusers computes them in float32.
enum NoiseSchedule {
    /// The cumulative products abar_t of 1 - beta_t, one for each training timestep.
    ///
    /// PyTorch's float32 `cumprod` accumulates in double on a CPU and rounds each product to float32; so does this.
    static func cumulativeAlphas(of configuration: SchedulerConfiguration) -> [Float] {
        var betas = betas(of: configuration)
        if configuration.rescaleBetasZeroSNR { betas = rescaledToZeroTerminalSNR(betas) }
        return cumulativeProducts(betas.map { 1 - $0 })
    }

    private static func betas(of configuration: SchedulerConfiguration) -> [Float] {
        if let trained = configuration.trainedBetas { return trained.map { Float($0) } }
        let count = configuration.trainingTimesteps
        switch configuration.betaSchedule {
        case .linear:
            return linearlySpaced(from: configuration.betaStart, to: configuration.betaEnd, count: count)
        case .scaledLinear:
            let roots = linearlySpaced(
                from: configuration.betaStart.squareRoot(), to: configuration.betaEnd.squareRoot(), count: count)
            return roots.map { $0 * $0 }
        case .squaredCosine:
            return squaredCosineBetas(count: count)
        }
    }

    /// `torch.linspace` in float32: counted from the nearer end, so that both ends are exact.
    private static func linearlySpaced(from start: Double, to end: Double, count: Int) -> [Float] {
        let (start, end) = (Float(start), Float(end))
        guard count > 1 else { return [start] }
        let step = (end - start) / Float(count - 1)
        return (0..<count).map { index in
            index < count / 2 ? start + step * Float(index) : end - step * Float(count - 1 - index)
        }
    }

    /// beta_t = 1 - f(t + 1) / f(t), at most 0.999, with f(t) = cos^2((t / T + 0.008) / 1.008 * pi / 2).
    private static func squaredCosineBetas(count: Int) -> [Float] {
        func remaining(_ timestep: Int) -> Double {
            let cosine = cos((Double(timestep) / Double(count) + 0.008) / 1.008 * Double.pi / 2)
            return cosine * cosine
        }
        return (0..<count).map { Float(min(1 - remaining($0 + 1) / remaining($0), 0.999)) }
    }

    /// Shifts and scales sqrt(abar) so that the last timestep is pure noise and the first one keeps its value
    /// (Lin et al., arXiv 2305.08891, Algorithm 1).
    private static func rescaledToZeroTerminalSNR(_ betas: [Float]) -> [Float] {
        var roots = cumulativeProducts(betas.map { 1 - $0 }).map { $0.squareRoot() }
        guard roots.count > 1, let first = roots.first, let last = roots.last else { return betas }
        let scale = first / (first - last)
        roots = roots.map { ($0 - last) * scale }
        let alphaBars = roots.map { $0 * $0 }
        return alphaBars.indices.map { index in
            1 - (index == 0 ? alphaBars[0] : alphaBars[index] / alphaBars[index - 1])
        }
    }

    private static func cumulativeProducts(_ factors: [Float]) -> [Float] {
        var product = 1.0
        return factors.map { factor in
            product *= Double(factor)
            return Float(product)
        }
    }
}
