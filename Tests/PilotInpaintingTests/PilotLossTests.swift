import DiffusionModels
import PilotInpainting
import Testing

@Suite struct PilotLossTests {
    private func latent(_ values: [Float]) -> Latent { Latent(channels: 4, height: 3, width: 2, values: values) }

    private func loss(_ fixture: MethodFixture.LossCase) -> PilotLoss {
        let mask = LatentMask(height: 3, width: 2, isRepainted: fixture.mask.map { $0 == 1 })
        return PilotLoss(imageLatent: latent(fixture.image), mask: mask)
    }

    /// Values to double's accuracy on inputs rounded to 8 digits; gradients to float32's.
    @Test func valuesAndSeedsAreThoseOfAutograd() throws {
        for fixture in try MethodFixture.load().losses {
            let result = loss(fixture)(
                unconditional: latent(fixture.unconditional), conditional: latent(fixture.conditional),
                semanticWeight: fixture.weight)
            let found = [result.values.total, result.values.background, result.values.semantic]
            for (found, expected) in zip(found, fixture.loss) {
                #expect(abs(found - expected) <= 1e-6 * abs(expected))
            }
            #expect(difference(result.unconditionalSeed, fixture.seedUnconditional) < 1e-6)
            #expect(difference(result.conditionalSeed, fixture.seedConditional) < 1e-6)
        }
    }

    /// Central differences over steps that are exact in float32; the loss is summed in double.
    @Test func seedsAreTheSlopesOfTheLoss() throws {
        let step: Float = 0x1p-10
        for fixture in try MethodFixture.load().losses.prefix(1) {
            let loss = loss(fixture)
            // On multiples of the step, so that adding it rounds nothing.
            let rounded = { (values: [Float]) in values.map { ($0 / step).rounded() * step } }
            let (u, c) = (latent(rounded(fixture.unconditional)), latent(rounded(fixture.conditional)))
            let seeds = loss(unconditional: u, conditional: c, semanticWeight: fixture.weight)
            func total(_ branch: GuidanceBranch, _ index: Int, _ shift: Float) -> Double {
                var (movedU, movedC) = (u, c)
                if branch == .unconditional { movedU.values[index] += shift } else { movedC.values[index] += shift }
                return loss(unconditional: movedU, conditional: movedC, semanticWeight: fixture.weight).values.total
            }
            for branch in GuidanceBranch.allCases {
                let seed = branch == .unconditional ? seeds.unconditionalSeed : seeds.conditionalSeed
                for index in seed.values.indices {
                    let slope = (total(branch, index, step) - total(branch, index, -step)) / Double(2 * step)
                    // The third derivative of L_s times step^2 / 6 is below 1e-6 here.
                    #expect(abs(slope - Double(seed.values[index])) < 2e-6)
                }
            }
        }
    }

    @Test func branchesThatAgreeHaveNoSemanticLoss() {
        let picture = latent([Float](repeating: 1, count: 24))
        let mask = LatentMask(height: 3, width: 2, isRepainted: [true, false, false, false, false, false])
        let result = PilotLoss(imageLatent: picture, mask: mask)(
            unconditional: picture, conditional: picture, semanticWeight: 110)
        #expect(result.values == .zero)
        #expect(result.unconditionalSeed.values.allSatisfy { $0 == 0 })
        #expect(result.conditionalSeed.values.allSatisfy { $0 == 0 })
    }
}
