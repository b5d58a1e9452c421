import PilotInpainting
import ShardedRuntime

/// The network on a replica's stages is what the method asks for noise.
extension StagePredictor: NoisePredictor {}
