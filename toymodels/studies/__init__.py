"""The procedures of single notebooks, in the order of the paper; plots/ draws what they find.

borders, basins              03  where phases meet; in which minimum starts end
staircase, crowd             04  what a factor of features earns per dimension; hundreds of equal features
sets, polygons, local_bases  05  pairs and triples of features; regular polygons by density; sets of correlated features
dynamics, octahedron         06  jumps during training; two sets of three features
vulnerability                07  adversarial attacks by density, and training against them
neurons, codes               08  models with hidden neurons (09 too); sets of neurons as codes of features
absolute                     09  computing absolute values
conditions                   10  where starts end under other conditions of training
nulls                        11  networks to compare a trained one with
earlier                      12  an earlier replication, by its own procedure
"""
